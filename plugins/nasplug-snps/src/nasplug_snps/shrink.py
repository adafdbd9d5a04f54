"""Progressive shrinking of a supernet (Rao et al., SNPS, released code)."""

from __future__ import annotations

import math
from collections.abc import Hashable

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choices, PruningSchedule, option
from nasplug.values import Figure, StepClock, StepInfo, Verdict
from nasplug_snps.sparsity import entropy, equal_candidates, logarithmic, uniform_value

RELEASED_STEPS = 1e4
"""Order of magnitude of the steps for which the released constants hold."""
RELEASED_PERIOD = 57
"""Steps between isolated deletions under the released constants: 2 ln((1 - tau)/n_max) / -ln tau."""
LEAD = 0.2
"""Share of a fitted search that may pass before candidates start to go."""


def _number(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _zero() -> Tensor:
    return _number(0.0)


@attrs.define
class Shrink(PruningSchedule):
    """Presses the supernet from dense to sparse at a controlled rate, and deletes what weighs too little.

    Alpha and weights descend L (1 + gamma S) + gamma mu S, where L is the task's loss and S the sparsity measure.
    After each step candidates below `threshold` go. A moving average of deletions per step is then compared with
    the wanted rate: the pressure gamma grows while it lags and falls while it leads. Where gamma has been at
    `gamma_max` for `t_max` lagging steps, what is left resists: the architecture is a snapshot of the trail, and the
    offset mu grows. The search ends once S is below `s_min`. Defaults are the released values for CIFAR-10.

    With `pace = "fit"` the constants of time follow the length of the search instead, at the same dynamics: a
    candidate every P steps takes tau = exp(-6/P), n_max = (1 - tau)/20, t_max = 0.7 P; gamma_0 grows with 10^4
    over the steps, phi and k act as over the released P of 57 steps, and s_min is a fraction of S at the start.
    (The rule is derived from the released values, not from the paper.)
    """

    ranks_candidates = True
    takes_snapshots = True
    static_graph = True
    figures = (
        Figure("alive", "operations kept", progress="{:.0f} operations alive"),
        Figure("S", "sparsity measure S"),
        Figure("gamma", "pressure gamma", scale="log"),
        Figure("mu", "offset mu"),
    )

    gamma_0: float = option(1e-4, "pressure at the start", above=0)
    gamma_max: float = option(0.1, "pressure from which lagging steps count as a stall", above=0)
    gamma_clip: bool = option(False, "whether gamma stops at gamma_max (released code: no)")
    phi: float = option(1.01, "growth of gamma per lagging step", above=1)
    k: float = option(0.99, "decrease of gamma per leading step", above=0, below=1)
    n_max: float = option(0.005, "wanted moving average of deletions per step", above=0)
    t_max: int = option(50, "lagging steps at gamma_max that make a stall", at_least=1)
    tau: float = option(0.9, "share of the past in the moving average", at_least=0, below=1)
    mu_0: float = option(0.1, "offset of the loss at the start", at_least=0)
    rho: float = option(1.5, "growth of mu at a stall", above=0)
    xi: float = option(1.0, "change of the wanted rate at a stall", above=0)
    s_min: float = option(250.0, "S at which the search ends (pace paper)", at_least=0)
    s_min_fraction: float = option(0.35, "the same as a share of S at the start (pace fit)", above=0, below=1)
    scale: float = option(50.0, "steepness of the logarithmic measure", above=0)
    sparsity: str = option("log", "measure S: log(1 + scale alpha), or entropy (inferred)", choices=("log", "entropy"))
    threshold: float = option(0.01, "weight below which a candidate is deleted", above=0, below=1)
    warm_up: int = option(0, "epochs without pressure and deletion", at_least=0)
    snapshot_every: int = option(1, "epochs between regular snapshots; 0: none", at_least=0)
    pace: str = option("paper", "constants as given, or fitted to the length of the search", choices=("paper", "fit"))

    # The numbers of the controller are float64 () on the device of the supernet: the host need not know them.
    gamma: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    mu: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    ema: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    stalled: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    """Lagging steps at gamma_max since the last stall (t)."""
    rate: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    """The wanted moving average in force (n)."""
    memory: float = attrs.field(init=False, default=0.0)
    """tau in force."""
    patience: int = attrs.field(init=False, default=0)
    """t_max in force."""
    growth: float = attrs.field(init=False, default=0.0)
    """phi in force."""
    relief: float = attrs.field(init=False, default=0.0)
    """k in force."""
    floor: float = attrs.field(init=False, default=0.0)
    """s_min in force."""

    def measure(self, weights: Tensor) -> Tensor:
        """S of normalised weights (choices, candidates), a scalar."""
        return entropy(weights) if self.sparsity == "entropy" else logarithmic(weights, self.scale)

    def begin(self, choices: Choices, clock: StepClock) -> None:
        """Sets the controller to its start, by `pace` fitted to the length of the search."""
        self._start(gamma=self.gamma_0, rate=self.n_max)
        self.memory, self.patience = self.tau, self.t_max
        self.growth, self.relief, self.floor = self.phi, self.k, self.s_min
        with torch.no_grad():
            dense = float(self.measure(choices.weights()))
        if self.pace == "fit":
            self._fit(choices, clock, dense)
        if dense <= self.floor:
            raise InputError(
                f"This supernet starts at a sparsity S of {dense:.4g}, so a search that ends below schedule.s_min = "
                f'{self.floor:g} has nothing to do; set a smaller schedule.s_min, or schedule.pace = "fit".'
            )

    def _fit(self, choices: Choices, clock: StepClock, dense: float) -> None:
        steps = max(1, clock.steps - self.warm_up * clock.steps_per_epoch)
        self.floor = self.s_min_fraction * dense
        widths = [len(columns) for columns in choices.active_columns]
        left = equal_candidates(lambda n: uniform_value(self.sparsity, self.scale, n), widths, self.floor)
        doomed = max(1.0, sum(widths) - sum(min(left, width) for width in widths))
        period = (1 - LEAD) * steps / doomed
        self.memory = math.exp(-6 / period)
        self.patience = max(1, round(0.7 * period))
        compression = max(1.0, RELEASED_PERIOD / period)
        self.growth, self.relief = self.phi**compression, self.k**compression
        gamma = min(self.gamma_max, self.gamma_0 * max(1.0, RELEASED_STEPS / steps))
        self._start(gamma=gamma, rate=(1 - self.memory) / 20)

    def _start(self, gamma: float, rate: float) -> None:
        for name, value in {"gamma": gamma, "mu": self.mu_0, "ema": 0.0, "stalled": 0.0, "rate": rate}.items():
            setattr(self, name, value)

    def penalise(self, loss: Tensor, choices: Choices, now: StepInfo) -> Tensor:
        """L (1 + gamma S) + gamma mu S; during warm-up L.

        A candidate that the optimizer already weighs 0 adds nothing to S. With one-level weights that happens only
        between the end of a warm-up and the deletion right after its first step.
        """
        if now.epoch < self.warm_up:
            return loss
        self._follow(choices)
        sparsity = self.measure(choices.weights())
        gamma, offset = self.gamma.to(sparsity.dtype), (self.gamma * self.mu).to(sparsity.dtype)
        return loss * (1 + gamma * sparsity) + offset * sparsity

    def graph_key(self, now: StepInfo) -> Hashable:
        """Whether the loss is pressed: all else are numbers on the device."""
        return now.epoch < self.warm_up

    @torch.no_grad()
    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Deletes, then adapts gamma to the rate of deletions, then compares S with its end."""
        self._follow(choices)
        regular = self.snapshot_every > 0 and now.ends_epoch and (now.epoch + 1) % self.snapshot_every == 0
        if now.epoch < self.warm_up:
            density = self.measure(choices.weights())
            return Verdict(snapshot={"epoch": regular}, measures=self._measures(choices, density))
        deleted = choices.delete(choices.active_mask & (choices.weights() < self.threshold))
        stall = self._control(deleted)
        density = self.measure(choices.weights())
        return Verdict(
            deleted=deleted,
            snapshot={"stall": stall, "epoch": regular},
            stop=density.double() < self.floor,
            measures=self._measures(choices, density),
        )

    def _follow(self, choices: Choices) -> None:
        """Brings the controller to the device of the supernet: a checkpoint leaves it on the host."""
        device = choices.alpha.device
        if self.gamma.device != device:
            for name in ("gamma", "mu", "ema", "stalled", "rate"):
                setattr(self, name, getattr(self, name).to(device))

    def _control(self, deleted: Tensor) -> Tensor:
        """One step of the controller; whether the search has stalled.

        Its numbers change in place, so that a recorded step reads those of the day.
        """
        self.ema.copy_(self.memory * self.ema + (1 - self.memory) * deleted.double())
        leads = self.ema >= self.rate
        stalled = torch.where(~leads & (self.gamma >= self.gamma_max), self.stalled + 1, 0.0)
        grown = self.growth * self.gamma
        if self.gamma_clip:
            grown = grown.clamp_max(self.gamma_max)
        self.gamma.copy_(torch.where(leads, self.relief * self.gamma, grown))
        stall = ~leads & (stalled >= self.patience)
        self.stalled.copy_(torch.where(stall, 0.0, stalled))
        self.mu.copy_(torch.where(stall, self.rho * self.mu, self.mu))
        self.rate.copy_(torch.where(stall, self.xi * self.rate, self.rate))
        return stall

    def _measures(self, choices: Choices, density: Tensor) -> dict[str, Tensor]:
        alive = choices.active_mask.sum()
        return {"S": density, "gamma": self.gamma, "mu": self.mu, "ema": self.ema, "alive": alive}
