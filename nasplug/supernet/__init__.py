"""Fast pieces of supernets: depthwise and 1x1 convolutions, and batch norm of many candidates at once."""

from __future__ import annotations

from nasplug.supernet.convolution import depthwise, pointwise
from nasplug.supernet.normalise import Norm, batch_norm, recalibrate

__all__ = ["Norm", "batch_norm", "depthwise", "pointwise", "recalibrate"]
