"""Times are measured on the machine, so only what holds on any machine is asked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.builtin.costs.latency import Latency

SHAPE = (3, 24, 24)


def layers(count: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), *(nn.Conv2d(32, 32, 3, padding=1) for _ in range(count))
    ).eval()


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_more_layers_take_longer_and_the_runtime_is_named(runtime: str) -> None:
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    threads = torch.get_num_threads()
    latency = Latency(runtime=runtime, seconds=0.05)

    short, long = latency.measure(layers(0), SHAPE), latency.measure(layers(12), SHAPE)

    assert 0 < short.details["lower"] <= short.value <= short.details["upper"]
    assert short.details["repeats"] >= 30
    assert long.value > 2 * short.value
    assert long.details["runtime"].startswith(f"{runtime} ")
    assert torch.get_num_threads() == threads
