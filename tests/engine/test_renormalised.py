from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug.engine.renormalised import Renormalised
from nasplug.parts import Network, Outputs


class Linear(Network):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(18, 4)

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.layer(images.flatten(1)), ())


def test_a_network_reads_the_same_pixels_in_its_own_normalisation() -> None:
    torch.manual_seed(0)
    net, pixels = Linear().double(), torch.rand(5, 2, 3, 3, dtype=torch.float64)
    given, expected = ((0.2, 0.7), (0.3, 0.05)), ((0.5, 0.1), (0.9, 0.2))

    def normalise(mean: tuple[float, float], std: tuple[float, float]) -> Tensor:
        return torch.stack([(pixels[:, place] - mean[place]) / std[place] for place in (0, 1)], dim=1)

    renormalised = Renormalised(net, given, expected)
    torch.testing.assert_close(renormalised(normalise(*given)), net(normalise(*expected)), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(net(normalise(*given)), net(normalise(*expected)), atol=0.1)
    assert renormalised.graph_key() is None  # of such a network nothing is known
    net.static_graph = True
    assert Renormalised(net, given, given).scale.eq(1).all()
