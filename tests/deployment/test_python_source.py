"""The code of a network computes what the network computes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from runpy import run_path

import pytest
import torch
from torch import Tensor, nn

from nasplug.builtin.compact import Compact
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.mbconv.space import MBConvSpace
from nasplug.builtin.nb201.space import NasBench201
from nasplug.deployment.graph import deployed_graph
from nasplug.deployment.python_source import collect_weights, write_source
from nasplug.parts import SearchSpace
from nasplug.values import ImageShape

MEAN, STD = (0.2, 0.5, 0.4), (0.1, 0.3, 0.2)
ABOUT = {"id": "abc", "params": "1234", "classes": '["cat", "a \\"dog\\""]'}
SPACES = (
    Darts(channels=2, cells=2, nodes=2),
    Darts(operations=("darts7", "conv_7x1_1x7"), choices="node", channels=3, cells=1, nodes=2, stem="imagenet"),
    NasBench201(channels=2, cells=1),
    Compact(operations=("all",), activation="relu6", head=8, channels=4),
    MBConvSpace(blocks=("s1 1x16", "s2 2x24"), channels=4),
)


def run_source(net: nn.Module, folder: Path) -> nn.Module:
    graph = deployed_graph(net, (3, 12, 12), folded=False)
    (folder / "net.py").write_text(write_source(graph, MEAN, STD, ABOUT))
    torch.save(collect_weights(graph), folder / "net.pt")
    module = run_path(str(folder / "net.py"))
    assert module["CLASSES"] == ["cat", 'a "dog"']
    loaded: nn.Module = module["load"]()
    return loaded


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_code_is_equal_in_float64_for_batches_of_any_size(space: SearchSpace, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = space.network(space.random(Random(1)), ImageShape(channels=3, size=12, classes=4)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    loaded = run_source(net, tmp_path).double()
    shift, scale = (torch.tensor(values)[:, None, None].double() for values in (MEAN, STD))
    for count in (1, 3):
        images = torch.randint(0, 256, (count, 3, 12, 12), dtype=torch.uint8)
        expected = net.double()((images.double() / 255 - shift) / scale).softmax(1)
        torch.testing.assert_close(loaded(images), expected, rtol=1e-10, atol=1e-12)


class Running(nn.Module):
    """Operations without code of their own."""

    def forward(self, x: Tensor) -> Tensor:
        one, other = x.cumsum(2).split(6, 3)
        return (one + 2 * other).mean((2, 3))


class Halves(nn.Module):
    """Lists of two equal numbers, which such operations take as lists alone."""

    def forward(self, x: Tensor) -> Tensor:
        one, other = nn.functional.pad(x, (1, 1)).split([7, 7], 3)
        return (one + 2 * other).mean((2, 3))


class Bounded(nn.Module):
    """Arguments that Python writes in other words than those that make them: infinity and devices."""

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.arange(13, device=x.device, dtype=x.dtype)
        padded = nn.functional.pad(x, (0, 1), value=float("-inf"))
        return (padded.clamp(0, float("inf")) * steps).mean((2, 3))


@pytest.mark.parametrize("net", [Running(), Halves(), Bounded()], ids=lambda net: type(net).__name__)
def test_an_operation_without_code_of_its_own_is_called_by_its_name(net: nn.Module, tmp_path: Path) -> None:
    net = net.eval()
    images = torch.randint(0, 256, (2, 3, 12, 12), dtype=torch.uint8)
    shift, scale = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    torch.testing.assert_close(run_source(net, tmp_path)(images), net((images / 255 - shift) / scale).softmax(1))


class Alike(nn.Module):
    """Weights whose names differ by the place of a dot, and one that is called like a buffer of the code."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Module()
        self.a.b_c = nn.Linear(3, 4)
        self.a_b = nn.Module()
        self.a_b.c = nn.Linear(4, 4)
        self.mean = nn.Parameter(torch.ones(4))

    def forward(self, images: Tensor) -> Tensor:
        first: Tensor = self.a_b.c(self.a.b_c(images.mean((2, 3))))  # type: ignore[operator]
        return first * self.mean


def test_weights_of_similar_names_are_told_apart(tmp_path: Path) -> None:
    net = Alike().eval()
    images = torch.randint(0, 256, (2, 3, 12, 12), dtype=torch.uint8)
    shift, scale = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    torch.testing.assert_close(run_source(net, tmp_path)(images), net((images / 255 - shift) / scale).softmax(1))


def test_what_a_file_says_of_itself_is_kept_in_any_script(tmp_path: Path) -> None:
    about = ABOUT | {"dataset": "na\u00efve \U0001f600 'x' \\"}
    graph = deployed_graph(Alike().eval(), (3, 12, 12), folded=False)
    (tmp_path / "net.py").write_text(write_source(graph, MEAN, STD, about), encoding="utf-8")
    assert run_path(str(tmp_path / "net.py"))["ABOUT"] == about
