"""The past states of a supernet, kept ready to be asked."""

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
    """Places for some past supernets: weights, alpha and the candidates that were kept.

    All places are there from the start, as frozen copies of the network, and are renewed one after the other, so that
    the oldest state goes first. So the state dict always has the same places, however many of them were filled. They
    compute with the statistics of their batch and keep none of their own.
    """

    def __init__(self, net: Supernet, places: int, average: float) -> None:
        """Makes `places` copies of `net`; `average` is the share of its past that a state keeps when it is renewed."""
        super().__init__()
        self.average = average
        self.states = nn.ModuleList(_frozen_copy(net) for _ in range(places))
        self.register_load_state_dict_pre_hook(_delete_as_saved)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def renew(self, net: Supernet, number: int) -> None:
        """Takes in the state of `net`, as state `number`, counted from 0 through the whole search."""
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
        """What the first `count` states make of images: (count, N, classes), float32.

        Candidates are weighed as `net` weighs them, with each state's alpha or else (not `own_alpha`) with that of
        `net`; within `Choices.only` no others count than there.
        """
        alpha = {} if own_alpha else {"choices.alpha": net.choices.alpha.detach()}
        mask = net.choices.mask
        voices = []
        for place in range(count):
            state = cast("Supernet", self.states[place])
            state.choices.relaxation = net.choices.relaxation
            with nullcontext() if mask is None else state.choices.only(mask):
                voices.append(functional_call(state, alpha, (images,)).float())
        return torch.stack(voices)


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
    """Before a state dict is loaded: deletes the candidates that its states had lost, so that the tensors fit."""
    for place, state in enumerate(cast("Bank", bank).states):
        choices = cast("Supernet", state).choices
        choices.kept.copy_(saved[f"{prefix}states.{place}.choices.kept"])
        _drop_deleted(cast("Supernet", state))
