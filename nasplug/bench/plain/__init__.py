"""Plain supernets: reference implementations for the fast ones, which must compute the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from nasplug.bench.plain.darts import PlainDarts
from nasplug.bench.plain.nb201 import PlainNasBench201
from nasplug.bench.plain.operations import PlainSupernet, copy_weights
from nasplug.errors import InputError
from nasplug.parts import Supernet

__all__ = ["PLAIN", "PlainSupernet", "plain_supernet"]

PLAIN: Mapping[str, Callable[[Any], PlainSupernet]] = MappingProxyType({"darts": PlainDarts, "nb201": PlainNasBench201})
"""By the name of a space in genotypes, the class of its plain supernet, which is constructed from the fast one."""


def plain_supernet(space: str, net: Supernet) -> PlainSupernet:
    """Builds the plain supernet that computes the same as `net`, from images (N, C, H, W) to logits (N, classes).

    It has a module for every operation on every edge, maps in contiguous layout and copies of the weights of `net`; it
    shares the choices of `net`, alpha included. Raises InputError for a space without a plain supernet.
    """
    if space not in PLAIN:
        raise InputError(
            f"There is no plain supernet of the space '{space}' to compare with; there is one of {', '.join(PLAIN)}."
        )
    plain = PLAIN[space](net)
    weight = next(parameter for parameter in net.parameters() if parameter is not net.choices.alpha)
    plain.to(weight.device, weight.dtype)
    copy_weights(plain.pair_layers(net))
    return plain
