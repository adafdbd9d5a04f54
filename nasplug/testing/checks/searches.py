"""Checks of whole searches, for any part or method under check."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import attrs
import torch

from nasplug.parts import Choices, Network, read_state
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.checks.spaces.samples import SHAPE
from nasplug.testing.companion_parts import Parts, plan
from nasplug.testing.devices import no_other_device
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, halfway, prepare, whole
from nasplug.values import StepClock

STEPS = 8
"""The fewest steps of a search that is stopped at each of them."""
SEARCHING = ("space", "optimizer", "schedule", "teacher", "selector", "method")


@check(*SEARCHING)
def searches_to_its_end(case: Case) -> None:
    """A search of a few steps on a CPU runs to its end.

    Parts that were only ever run at full size, on a GPU or with one combination of other parts may fail here.
    """
    case.once(whole)


@check(*SEARCHING)
def one_seed_gives_one_result(case: Case) -> None:
    """Two searches with the same seed report the same events.

    Iterating over sets, unseeded generators and state in module variables make results that cannot be repeated.
    """
    first, second = case.once(whole), case.once(halfway)
    pairs = zip(second.records(), first.records(), strict=False)
    for number, (actual, expected) in enumerate(pairs, 1):
        require(
            actual == expected,
            f"event {number} of a second search with the same seed differs: {_show_difference(actual, expected)}",
            "use the generator or seed that is passed, and keep no state in module variables",
        )


@check("space", "optimizer")
def another_seed_gives_another_result(case: Case) -> None:
    """With another seed, initial weights, sampled paths and random architectures are different.

    A seed that is fixed inside a part makes runs with several seeds identical, and their spread zero.
    """
    first, second = _random_values(case, 1), _random_values(case, 2)
    if not first:
        raise NotApplicable("it uses no random numbers")
    for what, value in first.items():
        require(
            value != second[what],
            f"seeds 1 and 2 give the same {what}",
            "never set a seed inside a part: use the generator or seed that is passed",
        )


@check(*SEARCHING)
def goes_on_exactly_after_a_stop(case: Case) -> None:
    """A search that is stopped, saved and loaded into new parts ends bit for bit like one that was not.

    State outside the checkpoint (a field that is no attrs field, a buffer that is not saved, a generator that is used
    in several steps, a module variable) is lost when a run is resumed (NASLib#153).
    """
    expected, stopped = case.once(whole), case.once(halfway)
    if expected.trainer is None:
        raise NotApplicable("no supernet is trained, so there is nothing to stop")
    again = _reload(stopped, prepare(case.once(plan).parts(), seed=0, weights=1))
    # A resumed run is a new process, in which module variables have their initial values. Here they would still hold
    # those of the stopped search, so another search of another length overwrites them first.
    begin(case.once(plan).parts(), seed=1).train(2 if len(stopped.steps) == 1 else 1)
    again.train()
    again.decided = again.decide()
    what = f"a search that was stopped after step {len(stopped.steps)} and continued"
    remedy = (
        "keep all state in attrs fields with init=False that survive JSON, in buffers of a stage or in tensors of the "
        "supernet, or compute it from `now`"
    )
    stop, pairs = len(stopped.steps), zip(expected.records(), again.records(), strict=False)
    for number, (record, other) in enumerate(pairs, 1):
        same = number <= stop or record == other
        require(same, f"event {number} of {what} differs: {_show_difference(other, record)}", remedy)
    count, counted = len(expected.records()), len(again.records())
    require(count == counted, f"{what} reports {counted} events instead of {count}", remedy)
    name = _differing_state(expected, again)
    require(name is None, f"after {what} the saved state '{name}' differs", remedy)


@check("space", "optimizer", "schedule", "teacher")
def goes_on_exactly_after_stops_at_every_step(case: Case) -> None:
    """A search that is stopped, saved and loaded into new parts after each of its steps ends like one that was not.

    State that is made late, or that is used once and then forgotten, is lost at one step and at no other. A plain
    attribute of a supernet or of a stage is in no checkpoint.
    """
    trainer = case.once(whole).trainer
    if trainer is None:
        raise NotApplicable("no supernet is trained, so there is nothing to stop")
    longer = -(-STEPS // trainer.steps)

    def parts() -> Parts:
        made = case.once(plan).parts()
        return attrs.evolve(made, training=attrs.evolve(made.training, epochs=longer * made.training.epochs))

    expected = case.once(whole)
    if longer > 1:
        expected = begin(parts(), seed=0)
        expected.train()
    search = begin(parts(), seed=0)
    for count, step in enumerate(expected.steps, 1):
        search.train(count)
        same = search.steps[-1].record() == step.record()
        require(
            same,
            f"step {count} differs after a stop: "
            + ("" if same else _show_difference(search.records()[-1], expected.records()[count - 1])),
            "keep all state in attrs fields with init=False, in buffers of a stage or in tensors of the supernet, or "
            "compute it from `now`",
        )
        if count < len(expected.steps):
            search = _reload(search, prepare(parts(), seed=0, weights=1))
    name = _differing_state(expected, search)
    require(name is None, f"after stops at every step the saved state '{name}' differs", "save it with the others")


@check("optimizer", "schedule")
def state_survives_json(case: Case) -> None:
    """The state of the part (its attrs fields with init=False) is the same after a round trip through JSON.

    A checkpoint holds it as JSON, which takes no tensors, turns tuples into lists, and numbers as keys into strings.
    """
    search = case.once(whole)
    part = getattr(search.parts, case.slot)
    state = read_state(part)
    if not state:
        raise NotApplicable("it has no state")
    remedy = "keep numbers, strings, lists and string-keyed mappings; tensors belong to the supernet or a stage"
    try:
        text = json.dumps(state)
    except TypeError as error:
        raise Failed(f"its state cannot be written: {error}", remedy) from error
    for name, value in json.loads(text).items():
        require(
            value == state[name], f"its state '{name}' is {state[name]!r:.60}, and {value!r:.60} after JSON", remedy
        )


@check(*SEARCHING)
def reports_plain_numbers(case: Case) -> None:
    """Every event of a search can be written as JSON, and its measures are finite numbers.

    Text among the measures cannot be plotted; a NaN makes a line that strict JSON readers refuse.
    """
    for event in case.once(whole).events:
        for name, value in getattr(event, "measures", {}).items():
            plain = isinstance(value, int | float) and math.isfinite(value)
            require(
                plain,
                f"a {type(event).__name__} has the measure {name}={value!r:.60}",
                "report finite numbers, or tensors with one element",
            )
        try:
            json.dumps(event.record(), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Failed(f"a {type(event).__name__} cannot be written as JSON: {error}", "report plain data") from error


@check("optimizer", "schedule", "teacher", "selector")
def works_in_the_shortest_search(case: Case) -> None:
    """A search of a single step works.

    Constants that are fitted to the length of a search may divide by zero here.
    """
    case.once(whole)  # a search that always fails does not fail because of its length
    parts = case.once(plan).parts()
    search = begin(attrs.evolve(parts, training=attrs.evolve(parts.training, epochs=1, batch_size=64)), seed=0)
    search.train()
    search.decide()
    require(
        all(math.isfinite(step.loss) for step in search.steps),
        f"the loss of its only step is {search.steps[0].loss if search.steps else 0}",
        "guard what is computed from the length of the search",
    )


@check(*SEARCHING)
def computes_where_it_is_told(case: Case) -> None:
    """Nothing is moved to a GPU when the search runs on a CPU, whether there is a GPU or not.

    `.cuda()` inside a part ignores --device, and ends a run on a machine without a GPU.
    """
    case.once(whole)  # a search that always fails does not fail because of its device
    with no_other_device():
        search = begin(case.once(plan).parts(), seed=0)
        search.train(1)
        search.decide()


@check(*SEARCHING)
def leaves_global_generators_alone(case: Case) -> None:
    """Once the networks are built, a search uses no global random generator: Python's, NumPy's or torch's.

    Their state depends on what else the process did, so runs cannot be repeated, and it is lost on resume.
    """
    before, after = case.once(whole).generators
    used = [name for name, state in before.items() if state != after[name]]
    require(
        not used,
        f"the global generator of {' and '.join(used)} is used",
        "use random.Random or torch.Generator, seeded with nasplug.values.seeds.derive_seed",
    )


def _reload(stopped: TinySearch, again: TinySearch) -> TinySearch:
    """`again`, a search that has not begun, with what a run has saved of one that was stopped."""
    if again.teacher is not None and stopped.teacher is not None:
        again.teacher.load_state_dict(stopped.teacher.state_dict())  # a run keeps it in a file of its own
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        stopped.save(path)
        again.load(path)
    again.steps, again.kept = list(stopped.steps), list(stopped.kept)
    return again


def _random_values(case: Case, seed: int) -> dict[str, object]:
    """Everything that a space or an optimizer chooses at random with this seed, by what it is."""
    parts = case.once(plan).parts()
    if case.slot == "space":
        genotype = parts.space.random(Random(0))
        torch.manual_seed(seed)
        supernet: Network = parts.space.supernet(SHAPE)
        torch.manual_seed(seed)
        return {"supernet": _weights(supernet), "network": _weights(parts.space.network(genotype, SHAPE))}
    optimizer = parts.optimizer
    if not optimizer.trains:
        return {"architectures": [event.record() for event in begin(parts, seed).decide()]}
    choices, generator = Choices(parts.space.choice_list()), torch.Generator().manual_seed(seed)
    before, values = generator.get_state(), dict[str, object]()
    optimizer.initialise(choices, generator)
    if not torch.equal(before, generator.get_state()):
        values["alpha and state"] = choices.alpha.tolist(), read_state(optimizer)
    masks = [optimizer.sample(parts.space, choices, now) for now in StepClock(4, 3).since(0)]
    if any(mask is not None for mask in masks):
        values["paths"] = [None if mask is None else mask.tolist() for mask in masks]
    return values


def _weights(net: Network) -> list[list[float]]:
    """Up to 100 elements of each weight that is initialised at random, so not of biases and norms."""
    return [parameter.detach().flatten()[:100].tolist() for parameter in net.parameters() if parameter.ndim > 1]


def _differing_state(search: TinySearch, other: TinySearch) -> str | None:
    """The name of the first tensor or field of the saved state in which two searches differ; None if all agree."""
    ours, theirs = search.state(), other.state()
    for name in {**ours, **theirs}:
        if name not in ours or name not in theirs or not torch.equal(ours[name], theirs[name]):
            return name
    for part, state in search.facts().items():
        for name, value in state.items():
            if other.facts()[part].get(name) != value:
                return f"{part}.{name}"
    return None


def _show_difference(actual: str, expected: str) -> str:
    """Two records, from shortly before the first character in which they differ."""
    characters = enumerate(zip(actual, expected, strict=False))
    first = next((position for position, (ours, theirs) in characters if ours != theirs), 0)
    start = max(0, first - 20)
    return f"...{actual[start : start + 60]}... instead of ...{expected[start : start + 60]}..."
