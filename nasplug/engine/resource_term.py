"""What a search by gradient pays for the expected cost of its architecture.

    weight * sum over limited measures of E[cost] / scale,     E[cost] = b + sum over candidates of their presence * c

so that alpha learns what candidates cost as it learns what they are good for (Wu et al., FBNet, CVPR 2019; Cai, Zhu &
Han, ProxylessNAS, ICLR 2019). The presence of a candidate is its relaxed weight, within a candidate of another choice
times that one's presence. FBNet multiplies the loss by a power of the logarithm of an expected latency; ProxylessNAS
adds it, as here. b and c follow from `fit_candidate_costs`.

Costs are those at the size of the retraining. The scale is the limit. Where networks are scaled to the budget, the
limit says nothing about candidates, because every architecture is shrunk to it; the scale is then the mean cost of
random architectures, so that a weight means the same whatever the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Self

import attrs
import torch
from torch import Tensor

from nasplug.errors import InputError
from nasplug.parts import Choices, CostModel, SearchSpace
from nasplug.parts.candidate_costs import fit_candidate_costs
from nasplug.values import Budget


@attrs.frozen(eq=False)
class ResourceTerm:
    """The term as a linear function of the weights of candidates: the same operations in every step."""

    base: float
    coefficients: Tensor
    """What a weight of 1 adds, float32 (choices, candidates), on the device of the search."""
    r_squared: Mapping[str, float] = attrs.field(factory=dict)
    """By measure, how much of the variance of costs is explained, as in `CandidateCosts`."""

    @classmethod
    def fit(
        cls,
        weight: float,
        budget: Budget,
        space: SearchSpace,
        cost_model: CostModel,
        generator: Random,
        scaled: bool = False,
    ) -> Self:
        """The term of a supernet of `space`, on the CPU; costs are those of `cost_model`, at its own size.

        `scaled` says that networks are made as wide as `budget` allows: its limits do not matter then, only what is
        limited. Measures that are not additive have no expected cost of this form and are left out; InputError if none
        is left.
        """
        names = [name for name in cost_model.names if name in budget and cost_model.knows_paths(name)]
        if not names:
            raise InputError(
                "budget.weight needs a limit on a cost that is the sum of those of layers, such as params, macs or "
                f"latency, but the budget limits {', '.join(budget) or 'nothing'}; add one, or set budget.weight=0."
            )
        fits = fit_candidate_costs(space, cost_model, names, generator)
        scales = {name: fit.mean if scaled else budget[name] for name, fit in fits.items()}
        table = torch.stack([fit.table * (weight / scales[name]) for name, fit in fits.items()]).sum(0)
        return cls(
            base=sum(weight * fit.base / scales[name] for name, fit in fits.items()),
            coefficients=table.to(torch.float32),
            r_squared={name: fit.r_squared for name, fit in fits.items()},
        )

    def to(self, device: torch.device) -> Self:
        """The same term on a device."""
        return attrs.evolve(self, coefficients=self.coefficients.to(device))

    def __call__(self, choices: Choices) -> Tensor:
        """The term for the present weights of candidates, a scalar with its graph; deleted candidates weigh 0."""
        return (choices.presence() * self.coefficients).sum() + self.base
