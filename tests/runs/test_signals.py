"""Which signal decides, and what later ones do."""

from __future__ import annotations

import os
import signal

import pytest

from nasplug.parts.child_processes import blocked_signals
from nasplug.runs.signals import Signals


@pytest.fixture
def program():
    """The signals of a program, with the handlers of this process put back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
    signals = Signals()
    signals.install()
    yield signals
    os.close(signal.set_wakeup_fd(-1))
    os.close(signals._arrivals)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGHUP, 75)])
def test_before_a_run_the_first_signal_interrupts_at_once_and_later_ones_change_nothing(program, number, code):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    for later in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGINT):
        signal.raise_signal(later)
    assert (program.received, program.exit_code) == (number, code)


def test_of_signals_that_python_sees_at_once_the_first_decides(program):
    """Python calls handlers in the order of the numbers; here the pipe says that SIGTERM came before SIGHUP."""
    with program.watching():
        end = signal.set_wakeup_fd(-1)
        os.write(end, bytes([signal.SIGTERM, signal.SIGHUP]))
        signal.raise_signal(signal.SIGHUP)
        signal.set_wakeup_fd(end)
        signal.raise_signal(signal.SIGTERM)
    assert program.received == signal.SIGTERM


def test_a_run_only_remembers_the_first(program):
    with program.watching():
        signal.raise_signal(signal.SIGTERM)
        for _ in range(5):
            signal.raise_signal(signal.SIGINT)
    assert program()
    assert program.received == signal.SIGTERM
    assert "Stopped by SIGTERM; nothing is lost. Go on with: that" in str(program.interrupted("that"))


def test_the_third_sigint_hurries_a_run_once():
    signals = Signals()
    with signals.watching(), signals.hurrying():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signals.received == signal.SIGINT


def test_a_hangup_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals().watching():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_blocked_signals_come_afterwards():
    signals = Signals()
    with signals.watching():
        with blocked_signals():
            signal.raise_signal(signal.SIGTERM)
            assert signal.SIGTERM in signal.sigpending()
        assert signals.received == signal.SIGTERM
