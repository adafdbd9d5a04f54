"""Straightforward supernets: what fast ones are compared with, and must be equal to."""

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
"""For the spaces that have one, by the name in their genotypes: from a supernet to the plain one of its form."""


def plain_supernet(space: str, net: Supernet) -> PlainSupernet:
    """The straightforward supernet that computes what `net` computes, from images (N, C, H, W) to logits.

    It has a module for every operation on every edge, maps in contiguous layout and copies of the weights of `net`; it
    shares the choices of `net`, alpha included. Raises InputError for a space that has none.
    """
    if space not in PLAIN:
        raise InputError(
            f"There is no plain supernet of the space '{space}' to compare with; there is one of {', '.join(PLAIN)}."
        )
    plain = PLAIN[space](net)
    weight = next(each for each in net.parameters() if each is not net.choices.alpha)
    plain.to(weight.device, weight.dtype)
    copy_weights(plain.pairs(net))
    return plain
