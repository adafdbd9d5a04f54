"""The state of a phase as one safetensors file.

It holds weights, alpha, kept candidates, optimizer states, the state of every part and stage, the random state and
the count of events, and names the choices and candidates whose alpha it holds. Loading copies into the tensors that a
freshly built phase has, so that their layouts stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.engine import Trainer
from nasplug.engine.random_state import RandomState
from nasplug.errors import InputError, quote
from nasplug.parts import Choices, Supernet, read_state, write_state
from nasplug.store.files import read_tensors, write_tensors

State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors on the CPU by name, and plain data."""


def save_checkpoint(path: Path, trainer: Trainer, events: int, seconds: float) -> None:
    """Writes the state of `trainer` after `events` events and `seconds` of work, replacing the file as a whole."""
    tensors, facts = capture_state(trainer)
    write_tensors(path, tensors, {**facts, "events": events, "seconds": seconds})


def capture_state(trainer: Trainer) -> State:
    """All that a freshly built trainer has to be given to go on as this one."""
    tensors = {f"net.{name}": tensor for name, tensor in trainer.net.state_dict().items()}
    for number, stage in enumerate(trainer.stages):
        tensors |= {f"stage.{number}.{name}": tensor for name, tensor in stage.state_dict().items()}
    tensors |= _torch_optimizer_state("weights", trainer.torch_optimizers.weights, trainer.weights())
    if trainer.torch_optimizers.alpha is not None:
        tensors |= _torch_optimizer_state("alpha", trainer.torch_optimizers.alpha, {"alpha": trainer.choices.alpha})
    facts = {
        "phase": trainer.name,
        "stage": trainer.stage,
        "step": trainer.step,
        "optimizer": read_state(trainer.optimizer),
        "schedule": read_state(trainer.schedule),
    }
    if len(trainer.choices) > 0:
        facts["choices"] = _name_choices(trainer.choices)
    tensors |= _random_state(trainer.device)
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}, facts


def load_checkpoint(path: Path, trainer: Trainer) -> tuple[int, float]:
    """Brings a freshly built trainer to the saved state; returns the number of events and the seconds of work then.

    If the schedule asks for several supernets, that of the saved stage is built first.

    Raises InputError if the file is damaged or belongs to another phase or network, or to other choices or candidates.
    """
    tensors, facts = read_tensors(path, "checkpoint")
    try:
        restore_state(trainer, tensors, facts)
        return _count(facts, "events"), _seconds(facts)
    except (AttributeError, KeyError, RuntimeError, IndexError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"The checkpoint '{path}' does not fit the phase '{trainer.name}' ({reason}); remove it to repeat the "
            f"phase."
        ) from error


def restore_state(trainer: Trainer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Brings a freshly built trainer to a state. Raises various errors if it is not one of the same training."""
    if facts["phase"] != trainer.name:
        raise ValueError(f"it is of the phase {quote(facts['phase'])}")
    _require_choices(facts, trainer.choices)
    trainer.enter_stage(_count(facts, "stage", trainer.plan.count - 1))
    trainer.step = _count(facts, "step", trainer.clock.steps)
    _load_net(trainer, {name[4:]: tensor for name, tensor in tensors.items() if name.startswith("net.")})
    for number, stage in enumerate(trainer.stages):
        prefix = f"stage.{number}."
        stage.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        )
    trainer.build_torch_optimizers()
    _restore_torch_optimizer("weights", trainer.torch_optimizers.weights, trainer.weights(), tensors)
    if trainer.torch_optimizers.alpha is not None:
        _restore_torch_optimizer("alpha", trainer.torch_optimizers.alpha, {"alpha": trainer.choices.alpha}, tensors)
    write_state(trainer.optimizer, facts["optimizer"])
    write_state(trainer.schedule, facts["schedule"])
    _restore_random_state(tensors, trainer.device)


def record_work(path: Path, events: int, seconds: float) -> None:
    """Changes the number of events and the seconds of work in a checkpoint, and leaves the rest of it as it is."""
    tensors, facts = read_tensors(path, "checkpoint")
    write_tensors(path, tensors, {**facts, "events": events, "seconds": seconds})


def count_saved_events(path: Path) -> int:
    """The number of events that the journal had when the checkpoint at `path` was written; 0 if there is none.

    Raises InputError if the file is damaged.
    """
    if not path.exists():
        return 0
    try:
        return _count(read_tensors(path, "checkpoint")[1], "events")
    except (KeyError, ValueError) as error:
        raise InputError(f"The checkpoint '{path}' is damaged ({error}); remove it to repeat the phase.") from error


def _count(facts: Mapping[str, Any], name: str, most: float = math.inf) -> int:
    value = facts[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        bound = f" to {most:g}" if most < math.inf else ""
        raise ValueError(f"'{name}' must be a whole number from 0{bound}, but it is {quote(value)}")
    return value


def _seconds(facts: Mapping[str, Any]) -> float:
    value = facts["seconds"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"'seconds' must be a number from 0, but it is {quote(value)}")
    return float(value)


def _name_choices(choices: Choices) -> list[list[Any]]:
    """The name of each choice with those of its candidates, in the order of the rows and columns of alpha."""
    return [[choice.name, list(choice.candidates)] for choice in choices]


def _require_choices(facts: Mapping[str, Any], choices: Choices) -> None:
    """Raises ValueError, naming the first difference, if alpha in a checkpoint is that of other choices or candidates.

    Their number alone would not tell: alpha of other candidates may have the same shape. Checkpoints of earlier
    versions name none.
    """
    saved, here = facts.get("choices"), _name_choices(choices)
    if saved is None or saved == here:
        return
    _require_names("choice {}", [name for name, _ in saved], [name for name, _ in here])
    for (name, candidates), (_, known) in zip(saved, here, strict=True):
        _require_names(f"candidate {{}} of the choice {quote(name)}", candidates, known)


def _require_names(what: str, saved: Sequence[str], here: Sequence[str]) -> None:
    for number, (theirs, ours) in enumerate(zip_longest(saved, here), 1):
        if theirs != ours:
            words = ("missing" if name is None else quote(name) for name in (theirs, ours))
            raise ValueError(f"{what.format(number)} is {' in it, but '.join(words)} in the supernet")


def _load_net(trainer: Trainer, state: Mapping[str, Tensor]) -> None:
    if isinstance(trainer.net, Supernet):
        trainer.choices.kept.copy_(state["choices.kept"])
        trainer.prune()
    trainer.net.load_state_dict(state)


def _torch_optimizer_state(
    prefix: str, torch_optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    return {
        f"{prefix}.{key}.{name}": value
        for name, parameter in named.items()
        for key, value in torch_optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def _restore_torch_optimizer(
    prefix: str,
    torch_optimizer: torch.optim.Optimizer,
    named: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    for full, value in tensors.items():
        head, _, rest = full.partition(".")
        if head != prefix:
            continue
        key, _, name = rest.partition(".")
        parameter = named[name]
        # Counters stay where the optimizer keeps them, on the host; averages take the layout of their parameter.
        kept = value.clone() if value.dim() == 0 else torch.empty_like(parameter).copy_(value)
        torch_optimizer.state[parameter][key] = kept


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = RandomState.capture(device)
    return {"random.cpu": state.cpu} | ({"random.cuda": state.cuda[device]} if device in state.cuda else {})


def _restore_random_state(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """A checkpoint of a machine with CUDA can be loaded on one without."""
    cuda = {device: tensors["random.cuda"]} if "random.cuda" in tensors and device.type == "cuda" else {}
    RandomState(tensors["random.cpu"], cuda).restore()
