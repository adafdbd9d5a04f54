"""Recording the gradients of a step once and replaying them: what a GPU is told in one call instead of thousands.

A supernet is thousands of small operations. Started one by one they keep a GPU waiting for the host; recorded as a CUDA
graph they are started together. A recording reads and writes the same memory every time, so it holds as long as the
same operations happen to the same tensors. Parts tell by their `graph_key` what that depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

import attrs
import torch
from torch import Tensor, nn

from nasplug.errors import RunFailure
from nasplug.parts import Batch
from nasplug.values import Update

Gradients = Callable[[Batch], Tensor]


class Recorder(Protocol):
    """What records on a device."""

    def stream(self) -> AbstractContextManager[None]:
        """Where steps are computed, recorded or not."""

    def record(self, compute: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Records `compute`; gives its result, which is valid after each call of what is given with it.

        Raises RuntimeError if the device does not take it.
        """

    def release(self) -> None:
        """Gives up the memory of recordings, which are all dropped."""


BROKEN: list[torch.cuda.MemPool] = []
"""Pools in which a recording failed: some versions of torch end the process when such a pool is given back."""


@attrs.define(eq=False)
class CudaGraphRecorder:
    """CUDA graphs that share one pool of memory.

    Steps are computed on a stream of their own, eager ones too: autograd accumulates a gradient on the stream on which
    its parameter was first used, and a recording must not leave its stream.
    """

    device: torch.device
    _stream: torch.cuda.Stream = attrs.field(init=False)
    _pool: torch.cuda.MemPool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stream = torch.cuda.Stream(self.device)
        self.release()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """The stream, in order with what came before and what comes after."""
        outside = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)

    def record(self, compute: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Records on the stream; nothing is computed yet."""
        graph = torch.cuda.CUDAGraph()
        pool = cast("Any", self._pool.id)  # torch 2.11 takes no pool itself, later ones no plain id by their types
        try:
            with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                result = compute()
        except RuntimeError as error:
            BROKEN.append(self._pool)
            try:
                torch.rand((), device=self.device)
            except RuntimeError:  # some versions of torch take the generator to be recorded for ever
                raise RunFailure(
                    f"A step could not be recorded ({_first_line(error)}), and torch's random numbers on {self.device} "
                    f"did not survive it; start again with --set run.cuda_graphs=false."
                ) from error
            raise
        return result, graph.replay

    def release(self) -> None:
        """Takes a new pool; the old one goes when the last recording in it has gone."""
        with torch.cuda.device(self.device):
            self._pool = torch.cuda.MemPool()


@attrs.frozen(eq=False)
class _Recording:
    key: Hashable
    batch: Batch
    loss: Tensor
    gradients: tuple[Tensor | None, ...]
    replay: Callable[[], None]


@attrs.define(eq=False)
class GraphCache:
    """The recordings of a phase, one for each of its turns."""

    recorder: Recorder
    recorded: int = 0
    """Recordings made."""
    replayed: int = 0
    """Turns that were replayed."""
    refused: str = ""
    """Why nothing is recorded any more: what the device said."""
    _recordings: dict[Update, _Recording] = attrs.field(factory=dict)
    _computed: dict[Update, Hashable] = attrs.field(factory=dict)
    """The key with which a turn was last computed step by step."""

    def gradients(
        self, update: Update, key: Hashable, batch: Batch, compute: Gradients, parameters: Sequence[nn.Parameter]
    ) -> Tensor:
        """What `compute` does for `batch`: leaves gradients in `grad` of the parameters and returns the loss, detached.

        `key` says what the operations depend on. What is new is computed step by step first, as CUDA wants it before a
        recording; the next time it is recorded. All recordings are dropped before, since the memory of those that no
        longer hold is what the new ones need.
        """
        key = (key, batch.images.shape, tuple(id(each) for each in parameters))
        recording = self._recordings.get(update)
        if recording is not None and recording.key != key:
            self.forget()
            recording = None
        if recording is None:
            known, self._computed[update] = self._computed.get(update), key
            recording = self._record(update, key, batch, compute, parameters) if known == key else None
        if recording is None:
            return compute(batch)
        recording.batch.images.copy_(batch.images)
        recording.batch.labels.copy_(batch.labels)
        recording.replay()
        self.replayed += 1
        for parameter, gradient in zip(parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        return recording.loss.clone()  # the next replay writes to the same place

    def __str__(self) -> str:
        """What a user may want to know of it."""
        if self.refused:
            return f"not recorded ({self.refused})"
        return "replayed" if self.replayed else ""

    def forget(self) -> None:
        """Drops all recordings, and gives their memory up: what they read may have moved, or they are done with."""
        if self._recordings:
            self._recordings.clear()
            self.recorder.release()
        self._computed.clear()

    @property
    def any(self) -> bool:
        """Whether there are recordings now."""
        return bool(self._recordings)

    def _record(
        self, update: Update, key: Hashable, batch: Batch, compute: Gradients, parameters: Sequence[nn.Parameter]
    ) -> _Recording | None:
        if self.refused:
            return None
        still = Batch(batch.images.clone(), batch.labels.clone())
        try:
            loss, replay = self.recorder.record(lambda: compute(still))
        except RuntimeError as error:
            self.refused = _first_line(error)
            self.forget()
            return None
        finally:
            found = tuple(each.grad for each in parameters)
            for each in parameters:
                each.grad = None
        self.recorded += 1
        self._recordings[update] = recording = _Recording(key, still, loss, found, replay)
        return recording


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
