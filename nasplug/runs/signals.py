"""Stopping between two steps, with everything saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from nasplug.errors import Interrupted

ShouldStop = Callable[[], bool]
"""Called after every step: whether the phase must stop here."""

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


class Signals:
    """Remembers the first SIGINT or SIGTERM; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __call__(self) -> bool:
        """Whether a signal was received."""
        return self.received is not None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Catches SIGINT and SIGTERM inside the block, for a stop at the next step.

        Only the main thread receives signals; in another one the block just runs.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # A handler that was not installed from Python cannot be put back, so it stays.
        own = [number for number in EXIT_CODES if signal.getsignal(number) is not None]
        before = {number: signal.signal(number, self._remember) for number in own}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def interrupted(self, resume_hint: str) -> Interrupted:
        """The exception that ends a stopped run and says how to resume it."""
        received = self.received or signal.SIGINT
        return Interrupted(
            f"Stopped by {received.name}; nothing is lost. Go on with: {resume_hint}", EXIT_CODES[received]
        )

    def _remember(self, number: int, _: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
