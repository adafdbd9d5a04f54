"""A bank of past states of a supernet that can be evaluated."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nasplug.parts import Supernet


class Bank(nn.Module):
    """A fixed number of places for past supernets: weights, alpha and the candidates that were kept.

    All places exist from the start, as frozen copies of the network, so the state dict always has the same entries.
    They are overwritten in turn, the oldest state first. Batch norms of the copies use the statistics of the batch, and
    have no running statistics.
    """

    def __init__(self, net: Supernet, places: int, average: float) -> None:
        """Makes `places` copies of `net`; `average` is the share of its past that a state keeps when it is renewed."""
        super().__init__()
        self.average = average
        self.states = nn.ModuleList(_frozen_copy(net) for _ in range(places))
        self.register_load_state_dict_pre_hook(_delete_as_saved)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def renew(self, net: Supernet, number: int) -> None:
        """Stores the state of `net` as state `number`, counted from 0 over the whole search."""
        places = len(self.states)
        state = cast("Supernet", self.states[number % places])
        if state.choices.active_columns != net.choices.active_columns:
            state.choices.kept.copy_(net.choices.kept)
            _drop_deleted(state)
        present = net.state_dict()
        for name, past in state.state_dict().items():
            if number >= places and past.is_floating_point():
                past.lerp_(present[name], 1 - self.average)
            else:
                past.copy_(present[name])

    @torch.no_grad()
    def logits(self, net: Supernet, images: Tensor, count: int, own_alpha: bool) -> Tensor:
        """The logits of the first `count` places for images: (count, N, classes), float32.

        Candidates are weighted as `net` weights them, by the alpha of the past state if `own_alpha`, else by that of
        `net`. Within `Choices.only` of `net`, the past states are restricted in the same way.
        """
        alpha = {} if own_alpha else {"choices.alpha": net.choices.alpha.detach()}
        mask = net.choices.mask
        logits = []
        for place in range(count):
            state = cast("Supernet", self.states[place])
            state.choices.relaxation = net.choices.relaxation
            with nullcontext() if mask is None else state.choices.only(mask):
                logits.append(functional_call(state, alpha, (images,)).float())
        return torch.stack(logits)


def _frozen_copy(net: Supernet) -> Supernet:
    state = copy.deepcopy(net).requires_grad_(False)
    for module in state.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # Without running statistics torch's batch norms always use those of the batch.
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return state


def _drop_deleted(state: Supernet) -> None:
    state.choices.refresh()
    state.prune()


def _delete_as_saved(bank: nn.Module, saved: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Hook before a state dict is loaded: deletes the candidates that are deleted in it, so that the tensors fit."""
    for place, state in enumerate(cast("Bank", bank).states):
        choices = cast("Supernet", state).choices
        choices.kept.copy_(saved[f"{prefix}states.{place}.choices.kept"])
        _drop_deleted(cast("Supernet", state))
