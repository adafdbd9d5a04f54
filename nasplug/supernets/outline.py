"""What a network with choices looks like and costs, found by looking on while it computes blank images once.

Not on torch's meta device, whose kernels take seconds to import: longer than small networks take to compute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from nasplug.errors import InputError, quote, reason
from nasplug.supernets.choose import ChoicePlace, Choose, Inputs, find_choices
from nasplug.values import Costs, ImageShape, MapShape

IMAGES = 2
"""Images in the batch that passes through the network."""
Owner = tuple[str, str] | None
"""A choice and one of its candidates, to which a layer belongs; None: to every network of the space."""


@attrs.frozen
class Piece:
    """A submodule that reads what the one before it gives, and nothing else."""

    path: str
    names: tuple[str, ...]
    """The choices inside of it."""
    output: MapShape | None
    """None: it gives something else than a square map."""
    steps: tuple[str, ...]
    """Submodules that compute, one after the other, all that the piece computes; the piece itself if there are none, or
    no choices."""


@attrs.frozen
class OutlinedChoice:
    """A choice as the network has it."""

    name: str
    candidates: tuple[str, ...]
    parent: tuple[str, str] | None


@attrs.frozen(eq=False)
class Outline:
    """A network with choices, for images of one shape."""

    choices: tuple[OutlinedChoice, ...]
    pieces: tuple[Piece, ...]
    """Pieces that follow one another from the images on, up to the last with choices; empty unless all choices lie in
    them, in at least two, and each that has choices gives a square map."""
    last_choice: str | None
    """The path of the last `Choose`, in the order of computation, that gives a map and lies in no candidate."""
    classifier: str
    """The path of the last convolution or linear layer that computes, or of the `Choose` in which it lies."""
    weights: Mapping[Owner, Mapping[int, int]]
    """By owner, the numbers of its parameters and how many values each has; several owners may share one."""
    macs: Mapping[Owner, int]
    """By owner, multiply-accumulates for one image."""

    def cost(self, owners: Iterable[Owner]) -> Costs:
        """Parameters and multiply-accumulates of these owners together."""
        held, macs = dict[int, int](), 0
        for owner in owners:
            held.update(self.weights[owner])
            macs += self.macs[owner]
        return Costs(params=sum(held.values()), macs=macs)


def outline_network(make: Callable[[], nn.Module], shape: ImageShape, what: str) -> Outline:
    """Looks at the network that `make` makes, which has all candidates of its choices, for images of `shape`.

    Torch's random numbers are left as they were. Raises InputError, which calls the network `what`, where it cannot be
    made or compute such images, where candidates of a choice give results of different shapes, and where it does not
    give a value for each class.
    """
    images = f"images of {shape.channels}x{shape.size}x{shape.size}"
    try:
        with torch.random.fork_rng(devices=()), torch.no_grad():
            module = make()
            places = find_choices(module)
            tally = _Tally(module, places)
            recorder = _Recorder(module.eval())
            batch = torch.zeros(IMAGES, shape.channels, shape.size, shape.size)
            with tally.counter, recorder:
                logits = module(batch)
    except InputError:
        raise
    except Exception as error:  # whatever a network of the user raises
        raise InputError(f"{what} cannot be built for {images} and compute them: {reason(error)}.") from error
    if not isinstance(logits, Tensor) or logits.shape != (IMAGES, shape.classes):
        raise InputError(
            f"{what} has to give a value for each class of each image, ({IMAGES}, {shape.classes}) for {IMAGES} images "
            f"of {shape.classes} classes, but of {images} it makes {_describe(logits)}."
        )
    first = dict[str, ChoicePlace]()
    for place in places:
        first.setdefault(place.name, place)
    return Outline(
        choices=tuple(
            OutlinedChoice(name, tuple(place.choose.candidates), place.parent) for name, place in first.items()
        ),
        pieces=_find_pieces(recorder.root, places),
        last_choice=recorder.last_choice(places),
        classifier=_outermost(recorder.last_layer(module), places),
        weights=tally.weights,
        macs=tally.macs(),
    )


class _OperationCounter(TorchDispatchMode):
    """Counts the floating-point operations of matrix products and convolutions by torch's own formulas.

    What `FlopCounterMode` counts, which at its first operation imports the compiler of torch: seconds for nothing here.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip the compiler, torch would import it

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=out)
        return out


class _Tally:
    """Sorts parameters and multiply-accumulates by their owners; it is the rule of all choices meanwhile."""

    def __init__(self, module: nn.Module, places: Sequence[ChoicePlace]) -> None:
        self.counter = _OperationCounter()
        self._numbers = {parameter: number for number, parameter in enumerate(module.parameters())}
        self._names = {place.choose: place.name for place in places}
        self._counted: Counter[Owner] = Counter()
        self._inside = [0]
        """Operations inside candidates, by depth of their nesting."""
        self.weights: dict[Owner, dict[int, int]] = {None: self._own_weights(module)}
        for place in places:
            place.choose.rule = self
            for candidate, inner in place.choose.candidates.items():
                owner = (place.name, candidate)
                self.weights.setdefault(owner, {}).update(self._own_weights(inner))

    def __call__(self, choose: Choose, inputs: Inputs) -> Tensor:
        """The sum of all candidates."""
        name = self._names[choose]
        results: dict[str, Tensor] = {}
        for candidate, module in choose.candidates.items():
            before = self.counter.total
            self._inside.append(0)
            results[candidate] = module(*inputs)
            operations = self.counter.total - before
            self._counted[name, candidate] += operations - self._inside.pop()
            self._inside[-1] += operations
        shapes = {candidate: _describe(result) for candidate, result in results.items()}
        if len(set(shapes.values())) > 1 or not all(isinstance(result, Tensor) for result in results.values()):
            given = ", ".join(f"'{candidate}' {shape}" for candidate, shape in shapes.items())
            raise InputError(
                f"The candidates of the choice {quote(name)} have to give one tensor each, all of the same shape, as "
                f"a supernet adds them up, but they give: {given}."
            )
        return torch.stack(list(results.values())).sum(0)

    def macs(self) -> dict[Owner, int]:
        """Two operations are one multiply-accumulate."""
        self._counted[None] = self.counter.total - self._inside[0]
        return {owner: self._counted[owner] // (2 * IMAGES) for owner in self.weights}

    def _own_weights(self, module: nn.Module) -> dict[int, int]:
        """Without those of choices inside."""
        if isinstance(module, Choose):
            return {}
        own = {self._numbers[parameter]: parameter.numel() for parameter in module.parameters(recurse=False)}
        for child in module.children():
            own |= self._own_weights(child)
        return own


@attrs.define(eq=False)
class _Call:
    """One call of a submodule in a forward pass."""

    path: str
    given: Tensor | None
    """The tensor that it reads, if that is all."""
    given_version: int
    output: Any = None
    output_version: int = -1
    inner: list[_Call] = attrs.field(factory=list)

    def follows(self, tensor: object, version: int) -> bool:
        """Whether it reads just this tensor, which has not been changed in place since it had this version."""
        return self.given is tensor and self.given_version == version


class _Recorder:
    """Inside the block, every call of every submodule is recorded, as a tree."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._handles = ExitStack()
        self._stack = [_Call("", None, 0)]
        self.order: list[_Call] = []
        """All calls in the order in which they end."""

    @property
    def root(self) -> _Call:
        """The call of the network."""
        return self._stack[0].inner[0]

    def __enter__(self) -> None:
        for path, module in self._module.named_modules():
            self._handles.callback(module.register_forward_pre_hook(_Entry(path, self._stack), with_kwargs=True).remove)
            self._handles.callback(module.register_forward_hook(self._leave).remove)

    def __exit__(self, *_: object) -> None:
        self._handles.close()

    def last_choice(self, places: Sequence[ChoicePlace]) -> str | None:
        """See `Outline`."""
        outer = {place.path for place in places if place.parent is None}
        maps = [call.path for call in self.order if call.path in outer and _map_shape(call.output) is not None]
        return maps[-1] if maps else None

    def last_layer(self, module: nn.Module) -> str:
        """The last layer with weights that computes; the network itself if there is none."""
        layers = (nn.Linear, nn.modules.conv._ConvNd)
        paths = [call.path for call in self.order if isinstance(module.get_submodule(call.path), layers)]
        return paths[-1] if paths else ""

    def _leave(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        call = self._stack.pop()
        call.output, call.output_version = output, _version(output)
        self.order.append(call)


@attrs.frozen
class _Entry:
    """A hook that begins the record of a call."""

    path: str
    stack: list[_Call]

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        given = inputs[0] if len(inputs) == 1 and not named and isinstance(inputs[0], Tensor) else None
        call = _Call(self.path, given, _version(given))
        self.stack[-1].inner.append(call)
        self.stack.append(call)


def _find_pieces(root: _Call, places: Sequence[ChoicePlace]) -> tuple[Piece, ...]:
    """See `Outline.pieces`. Where one piece has all choices, it is taken apart, too."""
    chain = _follow(root)
    while len(chosen := [call for call in chain if _names_inside(call, places)]) == 1:
        inner = _follow(chosen[0])
        if not inner or any(chosen[0].path == place.path for place in places):
            return ()
        chain = [*chain[: chain.index(chosen[0])], *inner]
    last = max((number for number, call in enumerate(chain) if _names_inside(call, places)), default=-1)
    pieces = tuple(
        Piece(call.path, _names_inside(call, places), _map_shape(call.output), _find_steps(call, places))
        for call in chain[: last + 1]
    )
    inside = {name for piece in pieces for name in piece.names}
    whole = inside == {place.name for place in places} and all(piece.output for piece in pieces if piece.names)
    covered = sum(len(_paths_inside(call, places)) for call in chain) == len(places)
    return pieces if whole and covered else ()


def _follow(outer: _Call) -> list[_Call]:
    """The calls inside of a call that follow one another, beginning with what the outer one is given."""
    times = Counter(call.path for call in outer.inner)
    chain: list[_Call] = []
    tensor, version = outer.given, outer.given_version
    for call in outer.inner:
        if times[call.path] > 1 or tensor is None or not call.follows(tensor, version):
            break
        chain.append(call)
        tensor, version = (call.output if isinstance(call.output, Tensor) else None), call.output_version
    return chain


def _find_steps(call: _Call, places: Sequence[ChoicePlace]) -> tuple[str, ...]:
    if not _names_inside(call, places) or any(call.path == place.path for place in places):
        return (call.path,)
    steps = _follow(call)
    complete = steps and steps[-1].output is call.output and steps[-1].output_version == call.output_version
    return tuple(step.path for step in steps) if complete and len(steps) == len(call.inner) else (call.path,)


def _paths_inside(call: _Call, places: Sequence[ChoicePlace]) -> list[str]:
    return [place.path for place in places if f"{place.path}.".startswith(f"{call.path}.")]


def _names_inside(call: _Call, places: Sequence[ChoicePlace]) -> tuple[str, ...]:
    paths = set(_paths_inside(call, places))
    return tuple(dict.fromkeys(place.name for place in places if place.path in paths))


def _outermost(path: str, places: Sequence[ChoicePlace]) -> str:
    """The first `Choose` on the way to a submodule, or the submodule itself."""
    return min((place.path for place in places if f"{path}.".startswith(f"{place.path}.")), key=len, default=path)


def _map_shape(value: object) -> MapShape | None:
    if isinstance(value, Tensor) and value.dim() == 4 and value.shape[2] == value.shape[3]:
        return MapShape(value.shape[1], value.shape[2])
    return None


def _version(value: object) -> int:
    return value._version if isinstance(value, Tensor) else -1


def _describe(value: object) -> str:
    return f"({', '.join(map(str, value.shape))})" if isinstance(value, Tensor) else type(value).__name__
