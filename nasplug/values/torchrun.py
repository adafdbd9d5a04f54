"""What torchrun tells each of the processes that it starts, in their environments."""

from __future__ import annotations

import os


def count_ranks() -> int:
    """The number of processes that torchrun has started, of which this is one; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def count_local_ranks() -> int:
    """The number of those on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if count_ranks() > 1 else 1


def local_rank() -> int:
    """The number of this process among those on this machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if count_ranks() > 1 else 0


def follows() -> bool:
    """Whether this process is one of several and not the leading one."""
    return count_ranks() > 1 and os.environ["RANK"] != "0"
