"""A network for images that are normalised, sized and coloured otherwise than those that it reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug.engine.converted_input import ConvertedInput, convert_input
from nasplug.parts import Network, Outputs
from nasplug.values import ImageShape


class Linear(Network):
    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.layer = nn.Linear(9 * channels, 4)

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.layer(images.flatten(1)), (images,))


def test_a_network_reads_the_same_pixels_in_its_own_normalisation() -> None:
    torch.manual_seed(0)
    net, pixels = Linear().double(), torch.rand(5, 2, 3, 3, dtype=torch.float64)
    given, read = (ImageShape(2, 3, 4, *pair) for pair in (((0.2, 0.7), (0.3, 0.05)), ((0.5, 0.1), (0.9, 0.2))))

    def normalise(shape: ImageShape) -> Tensor:
        return torch.stack([(pixels[:, place] - shape.mean[place]) / shape.std[place] for place in (0, 1)], dim=1)

    converted = convert_input(net, given, read)
    torch.testing.assert_close(converted(normalise(given)), net(normalise(read)), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(net(normalise(given)), net(normalise(read)), atol=0.1)
    assert converted.state_dict().keys() == {"net.layer.weight", "net.layer.bias"}
    assert converted.graph_key() is None  # of such a network nothing is known
    assert convert_input(net, given, given) is net
    assert ConvertedInput(net, given, ImageShape(2, 3, 4)).scale.eq(1).all()


def test_it_resizes_images_and_repeats_a_single_channel() -> None:
    read = ImageShape(3, 3, 4, (0.1, 0.2, 0.3), (0.5, 0.25, 1.0))
    converted = ConvertedInput(Linear(3), ImageShape(1, 6, 4, (0.5,), (0.2,)), read)
    pixels = torch.full((2, 1, 6, 6), 0.7)
    (seen,) = converted.outputs((pixels - 0.5) / 0.2).taps
    expected = torch.tensor([1.2, 2.0, 0.4]).view(1, 3, 1, 1).expand(2, 3, 3, 3)
    torch.testing.assert_close(seen, expected)
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    assert converted.outputs(ramp).taps[0][0, 0, 0].diff().gt(0).all()
