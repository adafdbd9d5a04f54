"""The cost measure `energy`."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor, nn

from nasplug.parts import CostMeasure, option
from nasplug.values import Unit

PICO = 1e-12


@attrs.frozen
class Energy(CostMeasure):
    """Joules for one image: what convolutions and linear layers compute and move, by energy per operation and byte.

    A layer moves its weights once, and its input and output. Activations, pools, batch norms and sums count nothing: a
    runtime fuses most of them with the layer before. The defaults are those of M. Horowitz, "Computing's Energy Problem
    (and what we can do about it)", ISSCC 2014, figure 1.1.9, for 45 nm and 0.9 V. They rank networks; the joules of a
    device are other ones.
    """

    unit = Unit("J")
    additive = True

    pj_per_mac: float = option(
        4.6, "picojoules of a multiply-accumulate: float32, 3.7 for the product and 0.9 for the sum", at_least=0
    )
    pj_per_byte: float = option(
        12.5, "picojoules of a byte that is moved: 100 for 8 bytes of a memory of 1 MB on the chip", at_least=0
    )
    bytes_per_value: int = option(4, "bytes of a weight and of an activation: 4 for float32, 1 for int8", at_least=1)

    def cost(self, net: nn.Module, shape: tuple[int, int, int]) -> float:
        """The energy of all layers that a forward pass calls, each as often as it is called, in joules."""
        macs = values = 0

        def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal macs, values
            assert isinstance(layer, nn.Conv2d | nn.Linear)  # noqa: S101 - only these are asked
            # Every output value is the sum of as many products as there are weights for its channel or feature.
            macs += output.numel() * layer.weight[0].numel()
            values += inputs[0].numel() + output.numel() + sum(weight.numel() for weight in layer.parameters())

        layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        hooks = [layer.register_forward_hook(count) for layer in layers]
        try:
            with torch.inference_mode():
                net(torch.zeros(1, *shape))
        finally:
            for hook in hooks:
                hook.remove()
        return PICO * (self.pj_per_mac * macs + self.pj_per_byte * self.bytes_per_value * values)
