"""Times are measured on the machine, so only what holds on any machine is asked."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.costs.latency import Latency
from nasplug.builtin.costs.processor import processor_name, read_cpu_info

SHAPE = (3, 24, 24)


def layers(count: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), *(nn.Conv2d(32, 32, 3, padding=1) for _ in range(count))
    ).eval()


@pytest.fixture(params=["torch", "onnxruntime"])
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    return str(request.param)


def test_more_layers_take_longer_and_what_measured_them_is_named(runtime: str) -> None:
    threads = torch.get_num_threads()
    latency = Latency(runtime=runtime, seconds=0.05)

    short, long = latency.measure(layers(0), SHAPE), latency.measure(layers(12), SHAPE)

    assert 0 < short.details["lower"] <= short.value <= short.details["upper"]
    assert short.details["repeats"] >= 30
    assert long.value > 2 * short.value
    assert long.details["runtime"].startswith(f"{runtime} ")
    assert (long.details["device"], long.details["threads"]) == (processor_name(), 1)
    assert latency.environment().items() <= long.details.items()
    assert torch.get_num_threads() == threads


def test_a_layer_costs_what_it_adds(runtime: str) -> None:
    latency = Latency(runtime=runtime, seconds=0.05, layer_seconds=0.02)
    base, nothing = latency.base_cost(), latency.layer_cost(nn.Identity(), SHAPE)
    convolution = latency.layer_cost(nn.Conv2d(3, 64, 7, padding=3), (3, 128, 128))

    assert base > 0
    assert base == latency.base_cost()  # measured once
    assert nothing >= 0
    assert convolution > 5 * max(base, nothing)


def test_a_network_that_only_torch_can_write_is_measured_too() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    class Running(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.cumsum(2)

    assert Latency(runtime="onnxruntime", seconds=0.01).cost(Running().eval(), (1, 4, 4)) > 0


def test_the_processor_is_named_as_its_maker_names_it() -> None:
    assert read_cpu_info("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t: fpu\n\nprocessor\t: 1\n") == (
        "AMD EPYC 7B13"
    )
    assert read_cpu_info("processor\t: 0\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n").startswith("Raspberry Pi")
    assert read_cpu_info("processor\t: 0\n") == ""
    assert processor_name().strip()
