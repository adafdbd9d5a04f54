from __future__ import annotations

import pytest
import torch

from nasplug.engine import measure_errors
from nasplug.engine.finite import NonFinite, find_nonfinite
from nasplug.parts import Batch, Network, Outputs

BATCHES = [Batch(torch.full((3, 1, 2, 2), float(value)), torch.zeros(3, dtype=torch.long)) for value in (1, 2)]


class Logits(Network):
    """Answers every image with its mean for the first class, and zero for the second; `special` instead of 2."""

    def __init__(self, special: float) -> None:
        super().__init__()
        self.special = special

    def outputs(self, images):
        mean = images.mean((1, 2, 3))
        first = torch.where(mean == 2, self.special, mean)
        return Outputs(torch.stack([first, torch.zeros(3)], 1), ())


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_the_first_tensor_that_is_not_finite_is_named(value):
    tensors = {"a": torch.ones(2), "count": torch.tensor(3), "none": torch.empty(0), "b": torch.tensor([1.0, value])}
    assert find_nonfinite(tensors) == "b"
    assert find_nonfinite({name: tensor for name, tensor in tensors.items() if name != "b"}) is None
    assert find_nonfinite({"count": torch.tensor(3)}) is None


def test_nan_does_not_count_as_the_first_class():
    assert measure_errors(Logits(special=2.0), BATCHES).rate == 0
    for special in (torch.nan, torch.inf):
        with pytest.raises(NonFinite, match="answers to 3 of 6 images are not finite"):
            measure_errors(Logits(special), BATCHES)
