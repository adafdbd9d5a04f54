"""Networks that engineers designed by hand, as genotypes of this space."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "plain": "16s1 conv3 | 32s2 conv3 conv3 | 64s2 conv3 conv3",
        "resnet8": "16s1 res3 | 32s2 res3 | 64s2 res3",
        "ds-cnn": "64s1 ds3 ds3 ds3 ds3",
        "mobilenetv1": (
            "8s1 skip | 16s1 ds3 | 32s2 ds3 ds3 | 64s2 ds3 ds3 | 128s2 ds3 ds3 ds3 ds3 ds3 ds3 | 256s2 ds3 ds3"
        ),
        "mobilenetv2": (
            "32s1 skip | 16s1 ir3e1 | 24s1 ir3e6 ir3e6 | 32s2 ir3e6 ir3e6 ir3e6 | 64s2 ir3e6 ir3e6 ir3e6 ir3e6 | "
            "96s1 ir3e6 ir3e6 ir3e6 | 160s2 ir3e6 ir3e6 ir3e6 | 320s1 ir3e6"
        ),
    }
)
"""In the notation of one line, by name.

`plain` is a stack of convolutions. `resnet8` is the image classifier of MLPerf Tiny (Banbury et al., 2021), and
`mobilenetv1` its person detector (Howard et al., 2017, a quarter as wide), on images of 64 pixels or more. `ds-cnn` is
its keyword spotter (Zhang et al., Hello Edge, 2017): the four layers, behind the stem of this space. `mobilenetv2`
(Sandler et al., CVPR 2018) has the strides that are customary for images of 32 pixels; it needs the options
activation=relu6, and head=1280 for its last convolution. Smaller ones come from `channels` below 16.
"""
