"""Choices: where a supernet leaves open which candidates an architecture holds.

All choices of a supernet live in one table, so that weighing the candidates of the whole network, measuring its
sparsity or deleting candidates are a handful of tensor operations, however many choices there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts.nesting import Nesting
from nasplug.parts.transfer import send

Relaxation = Callable[[Tensor, Tensor], Tensor]
"""From alpha (choices, candidates) and the candidates that count (bool, the same shape) to their weights."""

Columns = tuple[tuple[int, ...], ...]
"""Columns of the table, for each of its rows."""


@attrs.frozen
class Choice:
    """One normalisation domain of the architecture parameters: named candidates of which a genotype picks some."""

    name: str
    candidates: tuple[str, ...]
    at_least: int = 1
    """Candidates that any genotype holds; a schedule never leaves fewer."""
    at_most: int | None = None
    """Candidates that a genotype may hold; None: all of them."""
    blocks: tuple[int, ...] = (0,)
    """The blocks of the network whose weights this choice affects."""
    parent: tuple[str, str] | None = None
    """The choice, and that candidate of it, without which this choice means nothing."""


class Choices(nn.Module):
    """The choices of a supernet, their architecture parameters and the candidates still kept.

    Row i belongs to `choices[i]`; rows are padded to the longest. `alpha` is float32 whatever the precision of the
    run. Only a schedule (through `delete`) and a checkpoint (through `load_state_dict`, then `refresh`) change what
    is kept; measurements use `only`.

    Two notions matter to others. `active_mask` says which candidates count: it lives on the device, and a deletion
    takes effect in it at once, as a weight of 0. `computed_columns` says which candidates a supernet computes: it
    lives on the host, which reads the device to know it after a deletion.
    """

    alpha: nn.Parameter
    kept: Tensor
    least: Tensor

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.rows = {choice.name: row for row, choice in enumerate(self.choices)}
        width = max((len(choice.candidates) for choice in self.choices), default=0)
        self.valid_mask = valid = torch.zeros(len(self.choices), width, dtype=torch.bool)
        """Where the table has candidates and not padding, bool (choices, candidates) on the CPU."""
        for row, choice in enumerate(self.choices):
            valid[row, : len(choice.candidates)] = True
        self.alpha = nn.Parameter(torch.zeros(valid.shape))
        least = torch.tensor([choice.at_least for choice in self.choices], dtype=torch.long)
        self.register_buffer("least", least.unsqueeze(1), persistent=False)
        self.register_buffer("kept", valid.clone())
        self.nesting = Nesting(self.choices, self.rows)
        self.relaxation: Relaxation = softmax
        self.columns_held = False
        """Whether `computed_columns` stays as it is after deletions; set by runners that work ahead of the host."""
        self._kept_on_host: Tensor | None = None
        """`kept` on the CPU; None after a deletion, until the host reads it."""
        self._mask: Tensor | None = None
        self._mask_on_host: Tensor | None = None
        self.refresh()

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)

    def __len__(self) -> int:
        return len(self.choices)

    def weights(self) -> Tensor:
        """The weight of every candidate, (choices, candidates); 0 for what is deleted, masked or padding."""
        return self.relaxation(self.alpha, self.active_mask)

    def presence(self) -> Tensor:
        """How likely an architecture holds every candidate, (choices, candidates).

        That is its weight; within a candidate of another choice, times how likely that one is held.
        """
        held: Tensor = self.nesting(self.weights())
        return held

    @property
    def active_mask(self) -> Tensor:
        """The candidates that count now, bool (choices, candidates): those kept, within `only` also in its mask."""
        return self.kept if self._mask is None else self.kept & self._mask

    @property
    def mask(self) -> Tensor | None:
        """The mask of the innermost `only` in force, on the CPU; None outside of any."""
        return self._mask_on_host

    @property
    def active_columns(self) -> Columns:
        """`active_mask` as columns per choice. After a deletion the host waits for the device to know them."""
        if self._kept_on_host is None:
            self._kept_on_host = self.kept.to("cpu", copy=True)
            self._count()
        return self._active_columns

    @property
    def computed_columns(self) -> Columns:
        """The columns that supernets compute, per choice: the active ones.

        While `columns_held`, those that were active at the last `refresh`, known without asking the device. Candidates
        deleted since then are among them and weigh 0.
        """
        if self._kept_on_host is None and not self.columns_held:
            self.refresh()
        return self._computed_columns

    @property
    def active_count(self) -> int:
        """How many candidates count now."""
        return sum(len(columns) for columns in self.active_columns)

    def active_names(self, name: str) -> tuple[str, ...]:
        """The candidates of the choice `name` that count now, by name."""
        row = self.rows[name]
        return tuple(self.choices[row].candidates[column] for column in self.active_columns[row])

    def rows_of(self, blocks: Sequence[int]) -> Tensor:
        """The rows that belong to these blocks alone, bool (choices,)."""
        inside = [set(choice.blocks) <= set(blocks) for choice in self.choices]
        return torch.tensor(inside, dtype=torch.bool, device=self.alpha.device)

    @torch.no_grad()
    def delete(self, doomed: Tensor) -> Tensor:
        """Deletes candidates for good, bool (choices, candidates); returns how many, int64 (), on the device.

        A row that would fall below its `at_least` keeps its strongest doomed candidates (by alpha, ties to the first).
        """
        doomed = doomed & self.kept
        missing = self.least - (self.kept & ~doomed).sum(1, keepdim=True)
        order = self.alpha.masked_fill(~doomed, -torch.inf).argsort(dim=1, descending=True, stable=True)
        rank = order.argsort(1)
        deleted = doomed & (rank >= missing)
        self.kept.logical_and_(~deleted)
        self._kept_on_host = None
        count: Tensor = deleted.sum()
        return count

    def refresh(self) -> None:
        """Reads `kept` on the host again: after it was loaded, and before deleted candidates are removed."""
        self._kept_on_host = self._computed = self.kept.to("cpu", copy=True)
        self._count()

    def with_kept(self, kept: Tensor) -> Choices:
        """The same choices with other candidates kept, bool (choices, candidates); alpha is shared, not copied."""
        other = Choices(self.choices).to(self.alpha.device)
        other.alpha, other.relaxation = self.alpha, self.relaxation
        other.kept.copy_(kept)
        other.refresh()
        return other

    @contextmanager
    def only(self, mask: Tensor) -> Iterator[None]:
        """Counts only the candidates of `mask`, bool (choices, candidates), inside the block.

        A mask on the CPU is counted without waiting for the device.
        """
        before = self._mask, self._mask_on_host
        self._mask, self._mask_on_host = send(mask, self.kept.device), mask.cpu()
        self._count()
        try:
            yield
        finally:
            self._mask, self._mask_on_host = before
            self._count()

    def _count(self) -> None:
        self._computed_columns = self._columns(self._computed)
        if self._kept_on_host is not None:
            self._active_columns = self._columns(self._kept_on_host)

    def _columns(self, kept: Tensor) -> Columns:
        counting = kept if self._mask_on_host is None else kept & self._mask_on_host
        return tuple(tuple(column for column, counts in enumerate(row) if counts) for row in counting.tolist())


def softmax(alpha: Tensor, active: Tensor) -> Tensor:
    """DARTS's weights: softmax over the candidates that count; zeros where none does."""
    # Not minus infinity, which would make a row without candidates NaN, and its gradient with it.
    return alpha.masked_fill(~active, torch.finfo(alpha.dtype).min).softmax(-1).masked_fill(~active, 0.0)
