"""What a pruning schedule says after a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from torch import Tensor


def _by_reason(snapshot: str | Mapping[str, bool | Tensor] | None) -> Mapping[str, bool | Tensor]:
    if snapshot is None:
        return {}
    return {snapshot: True} if isinstance(snapshot, str) else snapshot


@attrs.frozen
class Verdict:
    """What a schedule did after one step, and what it asks for.

    A value that only the device knows may be a tensor of one element. The host reads it some steps later, together with
    others, so that a schedule never makes the host wait.
    """

    deleted: int | Tensor = 0
    """How many candidates were deleted in this step."""
    snapshot: Mapping[str, bool | Tensor] = attrs.field(default=None, converter=_by_reason)
    """Why a snapshot of the architecture is taken after this step ("stall", "epoch", ...): a reason, None (no
    snapshot), or a mapping from reasons to whether each applies, of which the first that does is recorded."""
    stop: bool | Tensor = False
    """Whether the stage ends with this step."""
    measures: Mapping[str, float | Tensor] = attrs.field(factory=dict)
    """Figures for the event of this step by name, such as S, gamma and mu."""
