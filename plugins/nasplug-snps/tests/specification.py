"""The shrinking controller a second time, in plain numbers, as the released SNPS code has it.

`Controller` follows a supernet by the raw alpha of each choice; `replay` follows the lines of an `events.jsonl`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RELEASED = {
    "gamma_0": 1e-4,
    "gamma_max": 0.1,
    "phi": 1.01,
    "k": 0.99,
    "n_max": 0.005,
    "t_max": 50,
    "tau": 0.9,
    "mu_0": 0.1,
    "rho": 1.5,
    "xi": 1.0,
    "s_min": 250.0,
    "b": 0.01,
}
DELETED = -1000.0


class Controller:
    def __init__(self, constants: Mapping[str, float]) -> None:
        self.c = {**RELEASED, **constants}
        self.gamma, self.mu, self.n = self.c["gamma_0"], self.c["mu_0"], self.c["n_max"]
        self.ema, self.t = 0.0, 0

    def control(self, p_num: int) -> bool:
        c, snapshot = self.c, False
        self.ema = c["tau"] * self.ema + (1 - c["tau"]) * p_num
        if self.ema < self.n:
            if self.gamma < c["gamma_max"]:
                self.gamma = c["phi"] * self.gamma
                self.t = 0
            else:
                self.gamma = c["phi"] * self.gamma
                self.t += 1
                if self.t >= c["t_max"]:
                    snapshot = True
                    self.mu = c["rho"] * self.mu
                    self.t = 0
                    self.n = c["xi"] * self.n
        else:
            self.gamma = c["k"] * self.gamma
            self.t = 0
        return snapshot

    def delete(self, nodes: list[list[float]]) -> int:
        """Deletes in place from the raw alpha of every node."""
        p_num = 0
        for node in nodes:
            shares = normalise(node)
            for index, share in enumerate(shares):
                if share < self.c["b"] and node[index] != DELETED:
                    node[index] = DELETED
                    p_num += 1
        return p_num


def normalise(node: Sequence[float]) -> list[float]:
    total = sum(max(0.0, p) for p in node)
    return [max(0.0, p) / total for p in node]


def sparsity(nodes: Iterable[Sequence[float]]) -> float:
    return sum(math.log(1 + 50 * share) for node in nodes for share in normalise(node))


def replay(events: Iterable[Mapping[str, Any]], constants: Mapping[str, float], steps_per_epoch: int) -> list[str]:
    """What disagrees with the controller in the step events of a search; empty: nothing.

    S is compared with its end value between epochs, and the architecture at the end is a snapshot.

    The constants are those in force, so for a fitted search those that the schedule derived. Events of other phases
    and kinds must have been left out, and warm-up too.
    """
    controller, wrong = Controller(constants), []
    for event in events:
        stall = controller.control(int(event["deleted"]))
        for name, expected in (("gamma", controller.gamma), ("mu", controller.mu), ("ema", controller.ema)):
            if not math.isclose(event[name], expected, rel_tol=1e-9, abs_tol=1e-15):
                wrong.append(f"step {event['step']}: {name} is {event[name]!r}, not {expected!r}")
        if stall != (event.get("reason") == "stall"):
            wrong.append(f"step {event['step']}: stall should be {stall}")
        ends = event["step"] % steps_per_epoch == 0 and event["S"] < controller.c["s_min"]
        if bool(event.get("stop", False)) != ends:
            wrong.append(f"step {event['step']}: stop does not agree with S = {event['S']}")
        if ends and event.get("reason") is None:
            wrong.append(f"step {event['step']}: the search ends without a snapshot")
    return wrong
