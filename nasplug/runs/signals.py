"""Signals that stop a program: the first one decides how it ends, whatever follows."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from nasplug.errors import Interrupted

ShouldStop = Callable[[], bool]
"""Called after every step: whether the phase must stop here."""

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}
"""The exit code of a program that was stopped, for each signal that stops it."""
if sys.platform != "win32":
    EXIT_CODES[signal.SIGHUP] = 75

IMPATIENT = 3
"""The SIGINT that does not wait for the end of a step."""


class Signals:
    """The signals that this program has received.

    The first one is kept in `received`, and the program ends as it asks. Until a run begins, it raises
    KeyboardInterrupt at once. A run stops at its next step instead; there the third SIGINT raises KeyboardInterrupt.
    KeyboardInterrupt is raised once at most, so that nothing breaks into the clearing up.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._interrupts = 0
        self._arrivals: int | None = None
        self._raises_at_once = False
        self._raises_when_impatient = False

    def __call__(self) -> bool:
        """Whether a signal was received."""
        return self.received is not None

    def install(self) -> None:
        """Handles every signal from now on: the first one raises KeyboardInterrupt. For programs, not for libraries.

        A SIGHUP that is ignored stays so: that is what `nohup` does.
        """
        if sys.platform != "win32":
            # Python calls the handlers of several signals that came during one long call in the order of their numbers;
            # the pipe has them in the order in which they came.
            self._arrivals, end = os.pipe()
            os.set_blocking(end, False)
            signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        for number in EXIT_CODES:
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)
        self._raises_at_once = True

    @staticmethod
    def uninstall() -> None:
        """Ignores all further signals, for a program that has nothing left to do but to end."""
        for number in EXIT_CODES:
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Only remembers signals inside the block, for a stop at the next step.

        Only the main thread receives signals; in another one the block just runs.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.settle()
        # A handler that was not installed from Python cannot be put back, so it stays.
        own = [number for number in EXIT_CODES if signal.getsignal(number) not in (None, self._receive)]
        own = [number for number in own if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._receive) for number in own}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """Lets the third SIGINT raise KeyboardInterrupt inside the block."""
        self._raises_when_impatient = self._interrupts < IMPATIENT
        try:
            yield
        finally:
            self._raises_when_impatient = False

    def settle(self) -> None:
        """From now on no signal raises anything."""
        self._raises_at_once = self._raises_when_impatient = False

    @property
    def exit_code(self) -> int:
        """The exit code of a program that was stopped."""
        return EXIT_CODES[self.received or signal.SIGINT]

    def interrupted(self, resume_hint: str) -> Interrupted:
        """The exception that ends a stopped run and says how to resume it."""
        received = self.received or signal.SIGINT
        return Interrupted(f"Stopped by {received.name}; nothing is lost. Go on with: {resume_hint}", self.exit_code)

    def _receive(self, number: int, _: FrameType | None) -> None:
        is_first = self.received is None
        if is_first:
            self.received = signal.Signals(number if self._arrivals is None else os.read(self._arrivals, 1)[0])
        self._interrupts += number == signal.SIGINT
        is_impatient = self._raises_when_impatient and self._interrupts >= IMPATIENT
        if is_impatient or (self._raises_at_once and is_first):
            self.settle()
            raise KeyboardInterrupt
