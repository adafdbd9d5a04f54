"""Progressive shrinking of a supernet (Rao et al., SNPS, released code)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choice, Choices, PruningSchedule, SearchSpace, option
from nasplug.values import Figure, StepClock, StepInfo, Verdict
from nasplug_snps.sparsity import entropy, equal_candidates, logarithmic, uniform_value

RELEASED_STEPS = 1e4
"""Order of magnitude of the steps for which the released constants hold."""
RELEASED_PERIOD = 57
"""Steps between isolated deletions under the released constants: 2 ln((1 - tau)/n_max) / -ln tau."""
LEAD = 0.2
"""Share of a fitted search that may pass before the first candidates are deleted."""


def _number(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _zero() -> Tensor:
    return _number(0.0)


@attrs.define
class Shrink(PruningSchedule):
    """Shrinks the supernet from dense to sparse at a controlled rate, by a sparsity penalty and by deletion.

    Alpha and weights are trained on L (1 + gamma S) + gamma mu S, where L is the task's loss, S the sparsity measure
    and gamma the pressure. After each step, candidates whose weight is below `threshold` are deleted. A moving average
    of deletions per step is then compared with its target: gamma grows in steps where it is below (lagging steps) and
    falls where it is not (leading steps). After `t_max` lagging steps in a row with gamma at `gamma_max` or above, the
    search has stalled: a snapshot of the architecture is taken, and the offset mu grows. The search ends with the first
    epoch at whose end S is below `s_min`; its last architecture is a snapshot, too. During the warm-up alpha and
    weights learn from the task alone, nothing is deleted and no snapshot is taken. Defaults are the released values for
    CIFAR-10.

    With `pace = "fit"` the time constants are fitted to the length of the search, so that its dynamics stay the same.
    For one deletion every P steps, tau = exp(-6/P), n_max = (1 - tau)/20 and t_max = 0.7 P; gamma_0 is multiplied by
    10^4 over the number of steps, phi and k have over P steps the effect that they have over the released 57 steps,
    and s_min is a fraction of S at the start. (This rule is derived from the released values, not from the paper.)
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
    gamma_max: float = option(0.1, "pressure from which lagging steps count towards a stall", above=0)
    gamma_clip: bool = option(False, "whether gamma stops at gamma_max (released code: no)")
    phi: float = option(1.01, "factor of gamma in a lagging step", above=1)
    k: float = option(0.99, "factor of gamma in a leading step", above=0, below=1)
    n_max: float = option(0.005, "target of the moving average of deletions per step", above=0)
    t_max: int = option(50, "lagging steps at gamma_max that make a stall", at_least=1)
    tau: float = option(0.9, "share of the past in the moving average", at_least=0, below=1)
    mu_0: float = option(0.1, "offset of the loss at the start", at_least=0)
    rho: float = option(1.5, "factor of mu at a stall", above=0)
    xi: float = option(1.0, "factor of the target n_max at a stall", above=0)
    s_min: float = option(250.0, "S below which the search ends with its epoch (pace paper)", at_least=0)
    s_min_fraction: float = option(0.35, "the same as a share of S at the start (pace fit)", above=0, below=1)
    scale: float = option(50.0, "steepness of the logarithmic measure", above=0)
    sparsity: str = option("log", "measure S: log(1 + scale alpha), or entropy (inferred)", choices=("log", "entropy"))
    threshold: float = option(0.01, "weight below which a candidate is deleted", above=0, below=1)
    warm_up: int = option(0, "epochs without penalty, deletion and snapshots", at_least=0)
    snapshot_every: int = option(1, "epochs between regular snapshots; 0: none", at_least=0)
    snapshot_from: int = option(0, "epochs before the first regular snapshot", at_least=0)
    pace: str = option("paper", "constants as set, or fitted to the length of the search", choices=("paper", "fit"))

    # The controller's values are float64 tensors () on the device of the supernet, so the host need not read them.
    gamma: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    mu: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    ema: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    stalled: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    """Lagging steps at gamma_max since the last stall (t)."""
    rate: Tensor = attrs.field(init=False, factory=_zero, converter=_number)
    """The current target of the moving average (n)."""
    memory: float = attrs.field(init=False, default=0.0)
    """The value of tau in use: the option, or fitted."""
    patience: int = attrs.field(init=False, default=0)
    """The value of t_max in use."""
    growth: float = attrs.field(init=False, default=0.0)
    """The value of phi in use."""
    relief: float = attrs.field(init=False, default=0.0)
    """The value of k in use."""
    floor: float = attrs.field(init=False, default=0.0)
    """The value of s_min in use."""

    def measure(self, weights: Tensor) -> Tensor:
        """S of normalised weights (choices, candidates); a scalar."""
        return entropy(weights) if self.sparsity == "entropy" else logarithmic(weights, self.scale)

    def later_spaces(self, space: SearchSpace) -> Sequence[SearchSpace]:
        """None. Raises InputError for a choice of so many candidates that equal weights are below the threshold."""
        self._check_threshold(space.choice_list())
        return ()

    def begin(self, choices: Choices, clock: StepClock) -> None:
        """Resets the controller, with constants fitted to the length of the search if `pace` is "fit".

        Raises InputError if S is already below the value at which the search ends, if the warm-up is all of it, or if
        equal weights are below the threshold.
        """
        self._check_threshold(choices)
        if self.warm_up >= clock.epochs:
            raise InputError(
                f"schedule.warm_up = {self.warm_up} leaves none of the {clock.epochs} epochs of this search for "
                f"deleting candidates; set a smaller schedule.warm_up, or more search.epochs."
            )
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

    def _check_threshold(self, choices: Iterable[Choice]) -> None:
        """Raises InputError if the first step would delete the candidates of a choice because there are so many."""
        widest = max(choices, key=lambda choice: len(choice.candidates), default=None)
        if widest is None or len(widest.candidates) * self.threshold < 1:
            return
        share = 1 / len(widest.candidates)
        raise InputError(
            f"The {len(widest.candidates)} candidates of choice '{widest.name}' begin with weights of about "
            f"{share:.2g}, but schedule.threshold = {self.threshold:g} deletes most of them in the first step; set a "
            f"smaller schedule.threshold, such as {share / 2:.2g}."
        )

    def _fit(self, choices: Choices, clock: StepClock, dense: float) -> None:
        steps = max(1, clock.steps - self.warm_up * clock.steps_per_epoch)
        self.floor = self.s_min_fraction * dense
        widths = [len(columns) for columns in choices.active_columns]
        remaining = equal_candidates(lambda n: uniform_value(self.sparsity, self.scale, n), widths, self.floor)
        deletions = max(1.0, sum(widths) - sum(min(remaining, width) for width in widths))
        period = (1 - LEAD) * steps / deletions
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
        """L (1 + gamma S) + gamma mu S; L during the warm-up.

        A candidate with the weight 0 adds nothing to S. With the optimizer one-level there are such candidates only
        between the end of the warm-up and the deletion after the next step.
        """
        if self._is_warming_up(now):
            return loss
        self._move_to_device_of(choices)
        sparsity = self.measure(choices.weights())
        gamma, offset = self.gamma.to(sparsity.dtype), (self.gamma * self.mu).to(sparsity.dtype)
        return loss * (1 + gamma * sparsity) + offset * sparsity

    def graph_key(self, now: StepInfo) -> Hashable:
        """Whether this is a step of the warm-up, without penalty. Everything else is computed on the device."""
        return self._is_warming_up(now)

    @torch.no_grad()
    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        """Deletes candidates and adapts gamma to the rate of deletions; ends a search whose S is low enough.

        As in the released code, S is compared with its end value at the end of an epoch.
        """
        self._move_to_device_of(choices)
        if self._is_warming_up(now):
            return Verdict(measures=self._measures(choices, self.measure(choices.weights())))
        deleted = choices.delete(choices.active_mask & (choices.weights() < self.threshold))
        stall = self._control(deleted)
        density = self.measure(choices.weights())
        stop = density.double() < self.floor if now.ends_epoch else False
        last = now.step + 1 == now.steps
        return Verdict(
            deleted=deleted,
            snapshot={"stall": stall, "epoch": self._is_regular(now), "end": last or stop},
            stop=stop,
            measures=self._measures(choices, density),
        )

    def _is_warming_up(self, now: StepInfo) -> bool:
        """Whether this is a step of the warm-up, which is at the start of the search, not of each of its stages."""
        return now.epochs_before + now.epoch < self.warm_up

    def _is_regular(self, now: StepInfo) -> bool:
        """Whether a regular snapshot is taken after this step."""
        every, epochs = self.snapshot_every, now.epochs_before + now.epoch + 1
        return every > 0 and now.ends_epoch and epochs > self.snapshot_from and epochs % every == 0

    def _move_to_device_of(self, choices: Choices) -> None:
        """Moves the controller to the device of the supernet; after loading a checkpoint it is on the CPU."""
        device = choices.alpha.device
        if self.gamma.device != device:
            for name in ("gamma", "mu", "ema", "stalled", "rate"):
                setattr(self, name, getattr(self, name).to(device))

    def _control(self, deleted: Tensor) -> Tensor:
        """One step of the controller. Returns whether the search has stalled, bool ().

        The values are changed in place, so that a step that was recorded as a CUDA graph reads the current ones.
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
        active = choices.active_mask.sum()
        return {"S": density, "gamma": self.gamma, "mu": self.mu, "ema": self.ema, "alive": active}
