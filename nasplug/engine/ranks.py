"""The processes that share one training: what they agree on, and how.

They are those of torch's default process group, each known by its rank. Every one makes the same steps, on its share of
each batch; gradients, losses and what else must be the same on all of them go through here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Self

import attrs
import torch
from torch import Tensor, distributed, nn

from nasplug.errors import RunFailure
from nasplug.parts import Choices
from nasplug.supernets.normalise import TorchNorm, find_norms
from nasplug.values import StepInfo
from nasplug.values.share import WHOLE, Share


class RankLost(RunFailure):
    """Another process of the training has ended, or cannot be reached."""


@attrs.frozen
class Ranks:
    """This process among those that share a training; by default it is alone, and nothing here costs anything."""

    share: Share = WHOLE
    sync_norms: bool = False
    """Whether batch norms use the statistics of the whole batch instead of those of each share."""

    @classmethod
    def of_group(cls) -> Self:
        """The processes of torch's default group."""
        return cls(Share(distributed.get_rank(), distributed.get_world_size()))

    @property
    def several(self) -> bool:
        """Whether there are other processes."""
        return not self.share.is_whole

    @property
    def leads(self) -> bool:
        """Whether it is the one that decides and writes."""
        return self.share.rank == 0

    def loss_factor(self, images: int, whole: int) -> float:
        """By what the mean loss over `images` of the `whole` images of a batch is multiplied.

        The mean of the results over ranks is then that over the whole batch, also where shares are not equal. It is
        the loss that is scaled, not its gradient: with batch norms over the whole batch, each rank's gradient is that
        of all losses.
        """
        return images * self.share.count / whole if self.several else 1.0

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors by their means over ranks, those of one type in one exchange."""
        if not self.several:
            return
        for _, alike in groupby(sorted(tensors, key=_kind), key=_kind):
            group = list(alike)
            flat = torch.cat([tensor.reshape(-1) for tensor in group])
            with lost_rank():
                distributed.all_reduce(flat)
            parts = flat.div_(self.share.count).split([tensor.numel() for tensor in group])
            for tensor, mean in zip(group, parts, strict=True):
                tensor.copy_(mean.view(tensor.shape))

    def average_running_statistics(self, net: nn.Module) -> None:
        """Averages what torch's batch norms of a network have gathered, unless it is the same on all ranks anyway."""
        if self.several and not self.sync_norms:
            norms = [norm for norm in find_norms(net) if isinstance(norm, TorchNorm)]
            buffers = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var)]
            self.average([buffer for buffer in buffers if buffer is not None])

    def largest(self, value: int) -> int:
        """The largest of the values of all ranks."""
        numbers = torch.tensor([value])
        with lost_rank():
            distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
        return int(numbers)

    def broadcast(self, value: Any = None) -> Any:
        """What the leading rank passes, on all ranks."""
        values = [value]
        with lost_rank():
            distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def check_architecture(self, choices: Choices, now: StepInfo, phase: str) -> None:
        """Raises RunFailure on all ranks, after step `now`, if alpha or the kept candidates differ between any two."""
        if not self.several:
            return
        state = b"".join(each.detach().cpu().numpy().tobytes() for each in (choices.alpha, choices.kept))
        digests: list[Any] = [None] * self.share.count
        with lost_rank():
            distributed.all_gather_object(digests, hashlib.sha256(state).hexdigest())
        if len(set(digests)) > 1:
            raise RunFailure(
                f"The processes of this training have come to different architectures by step "
                f"{now.steps_before + now.step + 1} of phase '{phase}': alpha, or the candidates that are kept, are "
                f"not the same on all ranks. A part of the search depends on the images or the random numbers of its "
                f"own rank where it must not; tell its author."
            )


ALONE = Ranks()


@contextmanager
def lost_rank() -> Iterator[None]:
    """Turns what torch raises where a collective cannot be finished into RankLost."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise RankLost("Another process of this training has ended, or cannot be reached.") from error


def _kind(tensor: Tensor) -> str:
    return f"{tensor.device} {tensor.dtype}"
