"""The state of a phase as one safetensors file.

It holds weights, alpha, kept candidates, optimizer states, the state of every part and stage, the random state and
the count of events. Loading copies into the tensors that a freshly built phase has, so that their layouts stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from nasplug.checkpoint.files import random_state, read_tensors, restore_random_state, write_tensors
from nasplug.engine import Phase
from nasplug.errors import InputError
from nasplug.parts import Supernet, read_state, write_state


def save_checkpoint(path: Path, phase: Phase, events: int, seconds: float) -> None:
    """Writes the state of `phase` after `events` events and `seconds` of work, replacing the file as a whole."""
    tensors = {f"net.{name}": each for name, each in phase.net.state_dict().items()}
    for number, stage in enumerate(phase.stages):
        tensors |= {f"stage.{number}.{name}": each for name, each in stage.state_dict().items()}
    tensors |= _mover_state("weights", phase.movers.weights, phase.weights())
    if phase.movers.alpha is not None:
        tensors |= _mover_state("alpha", phase.movers.alpha, {"alpha": phase.choices.alpha})
    facts = {
        "phase": phase.name,
        "stage": phase.stage,
        "step": phase.step,
        "events": events,
        "seconds": seconds,
        "optimizer": read_state(phase.optimizer),
        "schedule": read_state(phase.schedule),
    }
    write_tensors(path, tensors | random_state(), facts)


def load_checkpoint(path: Path, phase: Phase) -> tuple[int, float]:
    """Brings a freshly built phase to the saved state; returns the count of events and the seconds of work until then.

    Raises InputError if the file is damaged or belongs to another phase or network.
    """
    tensors, facts = read_tensors(path, "checkpoint")
    try:
        phase.stage, phase.step = facts["stage"], facts["step"]
        _load_net(phase, {name[4:]: each for name, each in tensors.items() if name.startswith("net.")})
        for number, stage in enumerate(phase.stages):
            head = f"stage.{number}."
            stage.load_state_dict({name[len(head) :]: each for name, each in tensors.items() if name.startswith(head)})
        phase.build_movers()
        _restore_mover("weights", phase.movers.weights, phase.weights(), tensors)
        if phase.movers.alpha is not None:
            _restore_mover("alpha", phase.movers.alpha, {"alpha": phase.choices.alpha}, tensors)
        write_state(phase.optimizer, facts["optimizer"])
        write_state(phase.schedule, facts["schedule"])
        restore_random_state(tensors)
        return int(facts["events"]), float(facts["seconds"])
    except (KeyError, RuntimeError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"The checkpoint '{path}' does not fit the phase '{phase.name}' ({reason}); remove it to repeat the phase."
        ) from error


def _load_net(phase: Phase, state: Mapping[str, Tensor]) -> None:
    if isinstance(phase.net, Supernet):
        phase.choices.kept.copy_(state["choices.kept"])
        phase.choices.refresh()
        phase.net.prune()
    phase.net.load_state_dict(state)


def _mover_state(prefix: str, mover: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    return {
        f"{prefix}.{key}.{name}": value
        for name, parameter in named.items()
        for key, value in mover.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def _restore_mover(
    prefix: str, mover: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    for full, value in tensors.items():
        head, _, rest = full.partition(".")
        if head != prefix:
            continue
        key, _, name = rest.partition(".")
        parameter = named[name]
        # Counters stay where the optimizer keeps them, on the host; averages take the layout of their parameter.
        kept = value.clone() if value.dim() == 0 else torch.empty_like(parameter).copy_(value)
        mover.state[parameter][key] = kept
