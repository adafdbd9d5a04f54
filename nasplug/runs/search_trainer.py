"""The training of a run's supernet, and the supernet that it has left."""

from __future__ import annotations

from typing import cast

from nasplug.engine import Trainer
from nasplug.engine.assembly import assemble_search
from nasplug.engine.succession import Measure
from nasplug.errors import InputError, command
from nasplug.parts import Network, Supernet
from nasplug.runs.collapse import watch_alpha
from nasplug.runs.context import RunContext
from nasplug.runs.distillation import load_search_teacher
from nasplug.runs.expected_cost import make_resource_term
from nasplug.runs.flatness import flatness
from nasplug.store.checkpoint import load_checkpoint


def make_search_trainer(context: RunContext, net: Supernet, teacher: Network | None) -> Trainer:
    """The trainer of a supernet; `teacher` is the trained network that the teacher asked for, or None."""
    composition, training = context.composition, context.recipe.search
    shares = context.shares()
    return assemble_search(
        composition,
        net,
        context.shape,
        training,
        {name: context.stream("search", name, indices, training) for name, indices in shares.items()},
        context.device,
        teacher=teacher,
        bf16=context.bf16,
        make_measure=lambda net: _join(flatness(context, net, shares), watch_alpha(context, net)),
        resource_term=make_resource_term(context),
        seed=context.seed("search"),
        ranks=context.ranks,
    )


def load_supernet(context: RunContext) -> Supernet:
    """The supernet as the search has left it, on the device of the run; InputError if it is gone or damaged."""
    path = context.folder.checkpoint("search")
    if not path.exists():
        raise InputError(
            f"'{path}', which holds the supernet of the search, is gone; restore it from a copy of the run, or search "
            f"again: {command('run', '--config', context.folder.path / 'recipe.toml')}"
        )
    net = context.composition.space.supernet(context.shape)
    trainer = make_search_trainer(context, net, load_search_teacher(context, net))
    load_checkpoint(path, trainer)
    return cast("Supernet", trainer.net)


def _join(*measures: Measure | None) -> Measure | None:
    """All figures of several measures, as one; None if there are none."""
    present = [measure for measure in measures if measure is not None]
    if not present:
        return None
    return lambda now: {name: value for measure in present for name, value in measure(now).items()}
