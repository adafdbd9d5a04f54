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
    """What a schedule did and wants after one step.

    What only the device knows may be given as a tensor of one element: it is read some steps later, together with
    others, so that a schedule never makes the host wait.
    """

    deleted: int | Tensor = 0
    """Candidates deleted in this step."""
    snapshot: Mapping[str, bool | Tensor] = attrs.field(default=None, converter=_by_reason)
    """Why the architecture as it now stands belongs to the trail ("stall", "epoch", ...): a reason, None, or several
    reasons, each with whether it holds; the first that does is told."""
    stop: bool | Tensor = False
    """Whether the search ends here."""
    measures: Mapping[str, float | Tensor] = attrs.field(factory=dict)
    """Figures for the event of this step, such as S, gamma and mu."""
