"""Recording and replaying on a CPU what CUDA graphs record and replay on a GPU.

A tape notes every operation below autograd. Replayed, it does the same operations to the same memory: whatever the
host decided while it was recorded, and whatever numbers were no tensors then, stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ATEN = torch.ops.aten
ASKING = {ATEN._local_scalar_dense.default, ATEN.nonzero.default, ATEN.equal.default}
"""What makes the host wait for a GPU."""
BRINGING = {ATEN.lift_fresh.default}
"""What copies numbers of the host to a GPU, which a recording does not take."""


class Asked(AssertionError):
    """A step wanted to know something of the device, or brought it something, where it may not."""

    def __init__(self, operation: object) -> None:
        super().__init__("torch.tensor(...)" if operation in BRINGING else str(operation))


class NoQuestions(TorchDispatchMode):
    """Raises Asked where a GPU would have to be waited for; `host` gives the tensors that live on the host anyway."""

    def __init__(self, host: Callable[[], Sequence[Tensor]] = tuple) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._host = host

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Looks at one operation."""
        if func in ASKING and args[0].data_ptr() not in {tensor.data_ptr() for tensor in self._host()}:
            raise Asked(func)
        return func(*args, **(kwargs or {}))


class Tape(TorchDispatchMode):
    """The operations of a block, in order. Raises Asked for what a CUDA graph would not take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._operations: list[tuple[Any, Any, Any, list[Tensor | None]]] = []
        self._own: set[int] = set()
        """Memory that the operations themselves have taken; a graph holds it as long as it lives."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Notes one operation."""
        if func in ASKING | BRINGING:
            raise Asked(func)
        found = func(*args, **(kwargs or {}))
        given = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
        # Views and what was changed in place lie in memory that earlier operations fill.
        places = [None if result.untyped_storage().data_ptr() in given else result for result in _tensors(found)]
        inputs = tree_map(self._held, (args, kwargs or {}))
        self._own |= {place.untyped_storage()._cdata for place in places if place is not None}
        self._operations.append((func, *inputs, places))
        return found

    def _held(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.untyped_storage()._cdata not in self._own:
            return Outside(value)
        return value

    @torch.no_grad()
    def replay(self) -> None:
        """Does all of it again. Raises Asked if it would read what is no longer there."""
        for func, args, kwargs, places in self._operations:
            args, kwargs = tree_map(_found_again, (args, kwargs))
            for place, value in zip(places, _tensors(func(*args, **kwargs)), strict=True):
                if place is not None:
                    place.copy_(value)


class Outside:
    """Where a tensor lies that is no part of a recording, and that, as in a CUDA graph, is not kept alive by it."""

    def __init__(self, tensor: Tensor) -> None:
        self._storage = StorageWeakRef(tensor.untyped_storage())
        self._form = (tensor.storage_offset(), tensor.size(), tensor.stride())
        self._dtype = tensor.dtype

    def tensor(self) -> Tensor:
        """The tensor; raises Asked if its memory was given back."""
        storage = torch.UntypedStorage._new_with_weak_ptr(self._storage.cdata)
        if storage is None:
            raise Asked(f"a tensor of shape {tuple(self._form[1])} that is read was freed")
        return torch.empty(0, dtype=self._dtype).set_(storage, *self._form)


class TapeRecorder:
    """Takes the part of `nasplug.engine.ahead.cuda_graphs.CudaGraphRecorder`."""

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Anywhere."""
        yield

    def record(self, compute: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Computes and records at once, so that the first replay has nothing left to do."""
        with Tape() as tape:
            result = compute()
        computed = [True]

        def replay() -> None:
            if computed:
                computed.clear()
            else:
                tape.replay()

        return result, replay

    def release(self) -> None:
        """Nothing: memory goes with the tape."""


def _found_again(value: Any) -> Any:
    return value.tensor() if isinstance(value, Outside) else value


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
