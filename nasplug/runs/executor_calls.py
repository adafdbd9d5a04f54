"""Pieces of work through an executor: never too many at once, again after a loss, and stopped together."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from nasplug.errors import NasplugError, RunFailure, one_line
from nasplug.parts import TrainingExecutor, WorkerLost, Workload
from nasplug.plugins.hook_calls import note
from nasplug.runs.signals import ShouldStop
from nasplug.runs.worker import Crash, Outcome
from nasplug.store.worker_token import WorkerToken

POLL_SECONDS = 0.5
"""Time between two looks at what the calls have left."""
SIGHT_SECONDS = 120.0
"""How long a file that another machine has written may stay unseen: network file systems keep what they have looked up
for up to a minute."""


@attrs.frozen(eq=False)
class Call:
    """A piece of work that can be carried out in any process, and more than once."""

    name: str
    function: Callable[..., Outcome]
    """Importable where the work is done; its arguments are plain."""
    arguments: tuple[object, ...]
    result: Path
    """The file that it leaves last of all."""


def fail(_: Call, error: NasplugError) -> None:
    """Raises the failure of a call."""
    raise error


@attrs.define(eq=False)
class ExecutorCalls:
    """Calls through one executor."""

    name: str
    """The name of the executor."""
    executor: TrainingExecutor
    workload: Workload
    retries: int
    """How often a call is submitted again."""
    token: WorkerToken
    """By which the calls know that they may go on; it is revoked in the end."""
    resume_hint: str
    doing: str = "trained a network"
    """What its processes do, for messages."""
    on_failure: Callable[[Call, NasplugError], None] = fail
    """Called with a call that has failed; by default the others are stopped."""
    _losses: Counter[str] = attrs.field(factory=Counter, init=False)

    def carry_out(self, calls: Sequence[Call], should_stop: ShouldStop) -> Iterator[None]:
        """Carries out every call, the first ones first; yields whenever something may have happened.

        Returns early, with everything stopped, if `should_stop` says so. Raises the first failure, when the others have
        stopped: what the call says itself, or RunFailure for calls that were lost too often.
        """
        left, under_way = deque(calls), dict[Future[Outcome], Call]()
        most, stopping = min(self.executor.workers(self.workload), len(left)), False
        with self._opened() as pool:
            try:
                while left or under_way:
                    if not stopping and should_stop():
                        stopping = True
                        left.clear()
                        self._stop(under_way)
                    while left and len(under_way) < most:
                        call = left.popleft()
                        under_way[self._submit(pool, call)] = call
                    finished, _ = wait(under_way, POLL_SECONDS, FIRST_COMPLETED)
                    yield
                    for future in finished:
                        call = under_way.pop(future)
                        try:
                            lost = self._find_loss(future, call)
                            if lost is not None and not stopping:
                                self._count_loss(call, lost)
                                left.appendleft(call)
                        except NasplugError as error:
                            self.on_failure(call, error)
            finally:
                self._stop(under_way)
                wait(under_way)

    @contextmanager
    def _opened(self) -> Iterator[Executor]:
        """The executor; a failure on its way in gets a sentence."""
        with ExitStack() as stack:
            try:
                pool = stack.enter_context(self.executor.open(self.workload))
            except NasplugError:
                raise
            except Exception as error:
                raise RunFailure(
                    f"The executor '{self.name}' cannot be opened ({one_line(error)}); go on with: {self.resume_hint}"
                ) from error
            yield pool

    def _submit(self, pool: Executor, call: Call) -> Future[Outcome]:
        try:
            return pool.submit(call.function, *call.arguments)
        except Exception as error:
            raise RunFailure(
                f"The executor '{self.name}' takes no more work ({one_line(error)}); go on with: {self.resume_hint}"
            ) from error

    def _stop(self, under_way: Collection[Future[Outcome]]) -> None:
        """Has every call stop at its next step, and those that have not begun not begin."""
        self.token.revoke()
        for future in under_way:
            future.cancel()

    def _find_loss(self, future: Future[Outcome], call: Call) -> WorkerLost | None:
        """Whether a call that has ended was lost on its way; None if it is finished. Raises the failure of the call."""
        try:
            outcome = future.result()
        except NasplugError:
            raise
        except WorkerLost as lost:
            return lost
        except CancelledError:
            return WorkerLost("was cancelled by its executor")
        except Exception as error:
            return WorkerLost(f"was lost ({one_line(error)})")
        if isinstance(outcome, NasplugError):
            raise outcome
        if isinstance(outcome, Crash):
            note(outcome.traceback)
            raise self._failure(WorkerLost("ended with an error, which is above"))
        if not outcome:
            return WorkerLost("ended before that was finished")
        self._wait_for(call.result)
        return None

    def _count_loss(self, call: Call, lost: WorkerLost) -> None:
        """Says that a call is carried out again; RunFailure if that was tried often enough."""
        self._losses[call.name] += 1
        if self._losses[call.name] > self.retries:
            raise self._failure(lost)
        note(f"Note: a process that {self.doing} {lost.reason}; '{call.name}' goes on at its last checkpoint.")

    def _failure(self, lost: WorkerLost) -> RunFailure:
        remedy = f"{lost.remedy}, or " if lost.remedy else ""
        return RunFailure(f"A process that {self.doing} {lost.reason}; {remedy}go on with: {self.resume_hint}")

    def _wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + SIGHT_SECONDS
        while not path.exists():
            if time.monotonic() > deadline:
                raise RunFailure(
                    f"'{path}' was written by the executor '{self.name}', but is not to be seen here: the run folder "
                    f"has to lie on a file system that all machines see, under the same path."
                )
            time.sleep(POLL_SECONDS)
