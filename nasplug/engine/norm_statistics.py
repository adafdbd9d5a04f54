"""When the running averages of batch norms are too old to fit the weights that a training has led to.

While a network trains, its batch norms use the statistics of each batch and average them for later use: after n steps
with momentum m, the weights of a moment s steps ago count m (1 - m)^s, and the initial values (1 - m)^n. At the end of
a long training that is a good estimate, since the weights hardly change any more. After a short one the averages
describe networks that are long gone, and the error may be near chance although the weights are good. Statistics that
are measured anew on training images, with the final weights, have no such lag (Wu and Johnson, "Rethinking 'Batch' in
BatchNorm", 2021, section 3; for averaged weights Izmailov et al., "Averaging Weights Leads to Wider Optima", 2018).
"""

from __future__ import annotations

import math

from torch import nn

from nasplug.supernets.normalise import TorchNorm

LARGEST_LAG = 0.1
"""Running averages are kept if their mean age is at most this share of the steps of a training."""


def running_averages_lag(net: nn.Module, steps: int, decay: float = 0.0) -> bool:
    """Whether the running averages of `net` lag behind its weights after a training of `steps` steps.

    Their mean age is 1 / momentum steps for the slowest batch norm. `decay` is that of a moving average of weights and
    buffers at its last step (0: none), which adds decay / (1 - decay). Without batch norms there is nothing to lag.
    """
    momenta = [norm.momentum for norm in net.modules() if isinstance(norm, TorchNorm) and norm.track_running_stats]
    if not momenta:
        return False
    slowest = min(momentum or 0.0 for momentum in momenta)  # None: the mean over the whole training
    age = (1 / slowest if slowest > 0 else math.inf) + decay / (1 - decay)
    return age > LARGEST_LAG * steps
