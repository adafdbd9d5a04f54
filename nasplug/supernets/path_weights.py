"""The weights that one path of a supernet has, for a stand-alone network of the same architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn


def take_path_weights(
    supernet: nn.Module, network: nn.Module, find: Callable[[str], str], *, narrower: bool = False
) -> Mapping[str, Tensor]:
    """For each parameter of `network`, by its name, a copy of the supernet's parameter that `find` names for it.

    With `narrower`, the first channels of each dimension are enough, as where narrow networks are the first channels of
    wide ones. Empty if one of them is missing or has another shape: a network of which only parts are trained would
    start worse than an untrained one.
    """
    weights = dict(supernet.named_parameters())
    taken: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        source = weights.get(find(name))
        if source is None or source.dim() != parameter.dim():
            return {}
        pairs = list(zip(parameter.shape, source.shape, strict=True))
        if any(own > shared or (own < shared and not narrower) for own, shared in pairs):
            return {}
        taken[name] = source.detach()[tuple(map(slice, parameter.shape))].clone()
    return taken
