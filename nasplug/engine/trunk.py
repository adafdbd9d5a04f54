"""Feature maps along the trunk of any convolutional network, found by looking on while it computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts import Network, Outputs, key_of
from nasplug.values import ImageShape, sides


@attrs.frozen
class TrunkMap:
    """A feature map that a network computes on the way from image to logits."""

    module: str
    """The submodule whose output it is."""
    call: int
    """Which call of this module in a forward pass, from 0."""
    size: int
    """Its side, in pixels."""


class TappedNetwork(Network):
    """`net`, whose taps are maps of its trunk."""

    static_graph = True

    def __init__(self, net: Network, maps: Sequence[TrunkMap]) -> None:
        super().__init__()
        self.net = net
        self.maps = tuple(maps)

    def outputs(self, images: Tensor) -> Outputs:
        """The logits of the network, and its maps as taps."""
        wanted = {(each.module, each.call) for each in self.maps}
        found: dict[tuple[str, int], Tensor] = {}
        calls: Counter[str] = Counter()

        def keep(name: str, output: Any) -> None:
            if (name, calls[name]) in wanted:
                found[name, calls[name]] = output
            calls[name] += 1

        with _watching(self.net, {each.module for each in self.maps}, keep):
            logits = self.net(images)
        return Outputs(logits=logits, taps=tuple(found[each.module, each.call] for each in self.maps))

    def graph_key(self) -> Hashable | None:
        """That of the network."""
        return key_of(self.net, methods=("outputs",))


def find_trunk_maps(net: Network, shape: ImageShape) -> list[TrunkMap]:
    """The maps after the consecutive pieces of a network that reads images of `shape`, in order of computation.

    A piece is a module that keeps the size of its maps or changes it once: a layer, a residual or inverted block, a
    stage. What lies inside of it (branches, expanded channels) is no map of the trunk; modules that change the size
    more often, and sequences of blocks, are taken apart. To tell maps from pooled features, which may be as small, the
    network also reads an image twice as large: the maps grow with it. Whatever the network raises on blank images of
    these sizes is passed on.
    """
    small, large = (_record(net, attrs.evolve(shape, size=scale * shape.size)) for scale in (1, 2))
    return list(_walk(small, large))


@attrs.define(eq=False)
class _Call:
    """One call of a module in a forward pass."""

    module: str
    number: int
    sequential: bool
    read: int | None
    """The side of the map that it reads; None where it does not read a square map."""
    size: int | None = None
    """The side of the map that it gives; likewise."""
    inner: list[_Call] = attrs.field(factory=list)


def _record(net: Network, shape: ImageShape) -> _Call:
    """The calls of all modules for a blank image in eval mode, as a tree."""
    names = [name for name, _ in net.named_modules()]
    calls: Counter[str] = Counter()
    stack = [_Call("", 0, False, None)]

    def enter(name: str, arguments: tuple[Any, ...]) -> None:
        sequential = isinstance(net.get_submodule(name), nn.Sequential)
        call = _Call(name, calls[name], sequential, _size(shape, *arguments[:1]))
        calls[name] += 1
        stack[-1].inner.append(call)
        stack.append(call)

    def leave(_: str, output: Any) -> None:
        stack.pop().size = _size(shape, output)

    training = net.training
    net.eval()
    try:
        parameter = next(net.parameters())
        blank = torch.zeros(1, *shape.tensor_shape, device=parameter.device, dtype=parameter.dtype)
        with torch.no_grad(), _watching(net, names, leave, enter):
            net(blank)
    finally:
        net.train(training)
    return stack[0].inner[0]


def _walk(small: _Call, large: _Call) -> Iterator[TrunkMap]:
    """The maps after the pieces inside a call; `large` is the same call for an image twice as large."""
    for here, there in zip(small.inner, large.inner, strict=True):
        chain = here.sequential and here.inner and all(each.inner for each in here.inner)
        if not _grows(here, there) or chain or len(_sizes(here, there) - {there.read}) > 1:
            yield from _walk(here, there)
        elif here.size is not None:
            yield TrunkMap(here.module, here.number, here.size)


def _sizes(small: _Call, large: _Call) -> set[int | None]:
    """The sides of all maps that a call computes for the larger image."""
    inner = [_sizes(*pair) for pair in zip(small.inner, large.inner, strict=True)]
    return set().union({large.size} if _grows(small, large) else (), *inner)


def _grows(small: _Call, large: _Call) -> bool:
    return small.size is not None and large.size is not None and small.size < large.size


def _size(shape: ImageShape, value: object = None) -> int | None:
    if isinstance(value, Tensor) and value.dim() == 4 and value.shape[2:] == sides(value.shape[3], shape.dims):
        return value.shape[3]
    return None


@contextmanager
def _watching(
    net: nn.Module,
    names: Iterable[str],
    after: Callable[[str, Any], None],
    before: Callable[[str, tuple[Any, ...]], None] | None = None,
) -> Iterator[None]:
    """Inside the block, every call of the modules `names` is reported by its name.

    Before it with its arguments, if `before` is given, and after it with its output.
    """
    with ExitStack() as handles:
        for name in names:
            module = net.get_submodule(name)
            if before is not None:
                handles.callback(module.register_forward_pre_hook(_Report(name, before)).remove)
            handles.callback(module.register_forward_hook(_Report(name, after)).remove)
        yield


@attrs.frozen
class _Report:
    """A hook that passes on the last of its arguments: what a module is given, or what it gives."""

    module: str
    to: Callable[[str, Any], None]

    def __call__(self, *arguments: Any) -> None:
        self.to(self.module, arguments[-1])
