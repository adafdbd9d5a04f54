"""The step that scripts of this folder measure: the loss of a batch and the gradients of all weights and of alpha."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import cast

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.bench import find_plain_supernet
from nasplug.builtin.plain_operations import PlainSupernet
from nasplug.compose import Composition, OptionLayer, compose, resolve
from nasplug.engine.assembly import place_network
from nasplug.parts import SearchSpace, Supernet
from nasplug.plugins import load_plugins
from nasplug.runs.device import find_device, uses_bf16
from nasplug.values import ImageShape, StepClock


@attrs.frozen(eq=False)
class Steps:
    """A supernet beside the plain one, on the same batch. The plain one computes in float32 whatever the other does."""

    net: Supernet
    plain: PlainSupernet
    images: Tensor
    labels: Tensor
    bf16: bool

    @property
    def device(self) -> torch.device:
        """Where both compute."""
        return self.images.device

    def fast(self) -> None:
        """One step of the supernet."""
        self._step(self.net, self.bf16)

    def reference(self) -> None:
        """One step of the plain one."""
        self._step(self.plain, False)

    def _step(self, net: nn.Module, bf16: bool) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = net(self.images)
        F.cross_entropy(logits.float(), self.labels).backward()
        net.zero_grad(set_to_none=True)


def steps_of(
    space: SearchSpace,
    shape: ImageShape,
    batch: int,
    device: torch.device,
    bf16: bool = False,
    initialise: Callable[[Supernet], None] | None = None,
) -> Steps:
    """Those of a space's supernet on random images, all candidates counted; `initialise` sets how they are weighed."""
    torch.manual_seed(0)
    net = space.supernet(shape)
    if initialise is not None:
        initialise(net)
    place_network(net, device)
    images = torch.randn(batch, shape.channels, shape.size, shape.size, device=device)
    labels = torch.arange(batch, device=device) % shape.classes
    return Steps(net, cast("PlainSupernet", find_plain_supernet(space, net)).to(device), images, labels, bf16)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What says which step is measured."""
    parser.add_argument("--method", default="darts", help="method whose supernet and weighing are measured")
    parser.add_argument("--space", help="search space, in place of the method's")
    parser.add_argument("--preset", help="preset of the method; that of its paper, if not given")
    parser.add_argument("--batch", type=int, default=16, help="images in a batch")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--cells", type=int, help="cells, in place of the preset's")
    parser.add_argument("--channels", type=int, help="channels, in place of the preset's")
    add_machine(parser)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bf16"))


def heading(given: argparse.Namespace, steps: Steps) -> str:
    """What was measured, and where."""
    return (
        f"{given.method}, batch {given.batch}, {given.size} pixels, {'bf16' if steps.bf16 else 'float32'}, "
        f"{steps.device}, {given.threads} CPU threads"
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Where it is measured."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")


def chosen(given: argparse.Namespace) -> Steps:
    """The steps that options ask for."""
    torch.set_num_threads(given.threads)
    device = find_device(given.device)
    composition = _composition(given)

    def initialise(net: Supernet) -> None:
        optimizer = composition.optimizer
        optimizer.initialise(net.choices, torch.Generator().manual_seed(0))
        net.choices.relaxation = optimizer.relax
        if optimizer.sample(composition.space, net.choices, StepClock(steps_per_epoch=1, epochs=1).at(0)) is not None:
            raise SystemExit(
                f"The method {given.method} computes a sample of the candidates; take one that computes all."
            )

    shape = ImageShape(channels=3, size=given.size, classes=10)
    return steps_of(composition.space, shape, given.batch, device, uses_bf16(given.precision, device), initialise)


def _composition(given: argparse.Namespace) -> Composition:
    plugins = load_plugins()
    method = plugins.resolve(plugins.find("method", given.method))
    layers: list[OptionLayer] = [{"run": {"method": given.method, "preset": given.preset or method.paper}}]
    sizes = {name: getattr(given, name) for name in ("cells", "channels") if getattr(given, name)}
    layers += [{"space": ({"part": given.space} if given.space else {}) | sizes}]
    return compose(plugins, resolve(plugins, layers))
