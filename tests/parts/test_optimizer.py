from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.parts import TorchOptimizers
from nasplug.values import Update

LENGTHS = {"network": 30.0, "adaptor": 400.0, "alpha": 7.0}
"""The gradient norm of each group of parameters."""


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((5.0, 5.0), {"network": 5.0, "adaptor": 5.0, "alpha": 5.0}),
        ((40.0, 6.0), {"network": 30.0, "adaptor": 40.0, "alpha": 6.0}),
        ((0.0, 0.0), LENGTHS),
    ],
)
def test_network_adaptors_and_alpha_are_clipped_each_by_a_norm_of_its_own(limits, expected):
    parameters = {
        name: [nn.Parameter(torch.zeros(3, dtype=torch.float64)), nn.Parameter(torch.zeros(2, dtype=torch.float64))]
        for name in LENGTHS
    }
    for name, (first, second) in parameters.items():
        first.grad = torch.tensor([0.0, 0.6, 0.0], dtype=torch.float64) * LENGTHS[name]
        second.grad = torch.tensor([0.8, 0.0], dtype=torch.float64) * LENGTHS[name]
    torch_optimizers = TorchOptimizers(
        torch.optim.SGD([*parameters["network"], *parameters["adaptor"]], lr=1.0),
        torch.optim.SGD(parameters["alpha"], lr=1.0),
        *limits,
        stage_parameters=parameters["adaptor"],
    )
    torch_optimizers.clip_gradients(Update("train", moves_weights=True, moves_alpha=True))
    for name, tensors in parameters.items():
        norm = torch.cat([tensor.grad for tensor in tensors]).norm()
        assert float(norm) == pytest.approx(expected[name], rel=1e-6)
