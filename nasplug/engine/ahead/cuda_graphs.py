"""Recording the gradients of an update once as a CUDA graph and replaying them: one launch instead of thousands.

A supernet is thousands of small operations. Launched one by one they keep a GPU waiting for the host; recorded as a
CUDA graph they are launched together. A graph reads and writes the same memory every time, so it is valid as long as
the same operations happen to the same tensors. What that depends on is the key (`nasplug.engine.ahead.graph_keys`).
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
    """Records computations on a device."""

    def stream(self) -> AbstractContextManager[None]:
        """The stream on which steps are computed, recorded or not."""

    def record(self, compute: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Records `compute`; returns its result and a function that replays it, after which the result is valid.

        Raises RuntimeError if the device cannot record it.
        """

    def release(self) -> None:
        """Frees the memory of recordings, all of which have been dropped."""


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
        """The stream, ordered after what was launched before and before what is launched after it."""
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
    """The gradients of one update as a graph, and the tensors that it reads and writes."""

    key: Hashable
    batch: Batch
    loss: Tensor
    gradients: tuple[Tensor | None, ...]
    replay: Callable[[], None]


@attrs.define(eq=False)
class GraphCache:
    """The recordings of one training, one for each update of its steps."""

    recorder: Recorder
    recorded: int = 0
    """How many recordings were made."""
    replayed: int = 0
    """How many updates were replayed."""
    refused: str = ""
    """Why nothing is recorded any more: the device's error."""
    _recordings: dict[Update, _Recording] = attrs.field(factory=dict)
    _computed: dict[Update, Hashable] = attrs.field(factory=dict)
    """The key with which an update was last computed operation by operation."""

    def gradients(
        self, update: Update, key: Hashable, batch: Batch, compute: Gradients, parameters: Sequence[nn.Parameter]
    ) -> Tensor:
        """Does what `compute` does for `batch`: leaves gradients in `grad` of `parameters`, returns the detached loss.

        `key` says what the operations depend on. With a new key they are run one by one first, as CUDA requires before
        a recording, and recorded the next time. All recordings are dropped before that, since the new ones need the
        memory of those that are no longer valid.
        """
        key = (key, batch.images.shape, tuple(id(parameter) for parameter in parameters))
        recording = self._recordings.get(update)
        if recording is not None and recording.key != key:
            self.forget()
            recording = None
        if recording is None:
            known, self._computed[update] = self._computed.get(update), key
            recording = self._record(update, key, batch, compute, parameters) if known == key else None
        if recording is None:
            return compute(batch)
        for still, now in zip(_changing(recording.batch), _changing(batch), strict=True):
            still.copy_(now)
        recording.replay()
        self.replayed += 1
        for parameter, gradient in zip(parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        return recording.loss.clone()  # the next replay writes to the same place

    def __str__(self) -> str:
        """Whether updates are replayed, or why not, for a line of progress."""
        if self.refused:
            return f"not recorded ({self.refused})"
        return "replayed" if self.replayed else ""

    def forget(self) -> None:
        """Drops all recordings and frees their memory: tensors that they read may be replaced, or training is over."""
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
        weight = None if batch.mean_weight is None else batch.mean_weight.clone()
        still = attrs.evolve(batch, images=batch.images.clone(), labels=batch.labels.clone(), mean_weight=weight)
        try:
            loss, replay = self.recorder.record(lambda: compute(still))
        except RuntimeError as error:
            self.refused = _first_line(error)
            self.forget()
            return None
        finally:
            gradients = tuple(parameter.grad for parameter in parameters)
            for parameter in parameters:
                parameter.grad = None
        self.recorded += 1
        self._recordings[update] = recording = _Recording(key, still, loss, gradients, replay)
        return recording


def _changing(batch: Batch) -> list[Tensor]:
    """The tensors of a batch that are others in every step."""
    return [each for each in (batch.images, batch.labels, batch.mean_weight) if each is not None]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
