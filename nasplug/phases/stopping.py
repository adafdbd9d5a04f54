"""Stopping between two steps, with everything saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from nasplug.errors import Interrupted

Stop = Callable[[], bool]
"""Asked after every step: must the phase stop here?"""

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


class Signals:
    """Remembers the first SIGINT or SIGTERM; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __call__(self) -> bool:
        """Whether there was one."""
        return self.received is not None

    def interrupted(self, run: Path) -> Interrupted:
        """The error that ends a stopped run, with the way to go on."""
        received = self.received or signal.SIGINT
        message = f"Stopped by {received.name}; nothing is lost. Go on with: nasplug resume {run}"
        return Interrupted(message, EXIT_CODES[received])

    def _remember(self, number: int, _: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)


@contextmanager
def watching_signals() -> Iterator[Signals]:
    """Catches SIGINT and SIGTERM inside the block, for a stop at the next step."""
    signals = Signals()
    before = {number: signal.signal(number, signals._remember) for number in EXIT_CODES}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
