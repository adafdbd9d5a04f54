"""What must hold for every search, whichever part or method is tried in it."""

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
from nasplug.testing.companion_parts import plan
from nasplug.testing.devices import no_other_device
from nasplug.testing.outcome import Failed, NotApplicable, require
from nasplug.testing.tiny_search import TinySearch, begin, halfway, prepare, whole
from nasplug.values import StepClock

SEARCHING = ("space", "optimizer", "schedule", "teacher", "method")


@check(*SEARCHING)
def searches_to_its_end(case: Case) -> None:
    """A search of a few steps on a CPU runs to its end.

    Parts that only ever ran at full size, on a GPU or with one partner break here.
    """
    case.once(whole)


@check(*SEARCHING)
def one_seed_gives_one_result(case: Case) -> None:
    """Two searches with one seed report the same.

    Sets in iteration order, unseeded generators and state kept in a module make results that nobody can repeat.
    """
    first, second = case.once(whole), case.once(halfway)
    pairs = zip(second.records(), first.records(), strict=False)
    for number, (found, expected) in enumerate(pairs, 1):
        require(
            found == expected,
            f"event {number} of a second search with the same seed differs: {_differing(found, expected)}",
            "draw from the generator or seed that is handed in, and keep nothing in a module",
        )


@check("space", "optimizer")
def another_seed_gives_another_result(case: Case) -> None:
    """With another seed, what is drawn is something else: initial weights, paths and random architectures.

    A seed fixed inside a part makes several runs look like one, and their spread like nothing.
    """
    first, second = _drawn(case, 1), _drawn(case, 2)
    if not first:
        raise NotApplicable("it draws nothing")
    for what, drawn in first.items():
        require(
            drawn != second[what],
            f"seeds 1 and 2 give the same {what}",
            "never set a seed inside a part: draw from the generator or seed that is handed in",
        )


@check(*SEARCHING)
def goes_on_exactly_after_a_stop(case: Case) -> None:
    """A search that is stopped, saved and loaded into new parts ends bit for bit like one that was not.

    State outside the checkpoint (a field that is no attrs field, a buffer that is not saved, a generator with a
    position, a variable of a module) is lost when a run is resumed (NASLib#153).
    """
    expected, broken = case.once(whole), case.once(halfway)
    if expected.trainer is None:
        raise NotApplicable("no supernet is trained, so there is nothing to stop")
    again = prepare(case.once(plan).parts(), seed=0, weights=1)
    if again.teacher is not None and broken.teacher is not None:
        again.teacher.load_state_dict(broken.teacher.state_dict())  # a run keeps it in a file of its own
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        broken.save(path)
        again.load(path)
    # What a module keeps would still be there, as it is not in the new process of a resumed run: another search, of
    # another length, leaves its own in it.
    begin(case.once(plan).parts(), seed=1).train(2 if len(broken.steps) == 1 else 1)
    again.steps = list(broken.steps)
    again.train()
    again.decided = again.decide()
    what = f"a search that was stopped after step {len(broken.steps)} and went on"
    remedy = (
        "keep all state in attrs fields with init=False that survive JSON, in buffers of a stage or in tensors of the "
        "supernet, or make it a function of `now`"
    )
    stop, pairs = len(broken.steps), zip(expected.records(), again.records(), strict=False)
    for number, (one, other) in enumerate(pairs, 1):
        require(number <= stop or one == other, f"event {number} of {what} differs: {_differing(other, one)}", remedy)
    count, counted = len(expected.records()), len(again.records())
    require(count == counted, f"{what} reports {counted} events instead of {count}", remedy)
    differing = _difference(expected, again)
    require(differing is None, f"after {what} the saved state '{differing}' differs", remedy)


@check("optimizer", "schedule")
def state_survives_json(case: Case) -> None:
    """The state of the part (its attrs fields with init=False) is the same after a way through JSON.

    A checkpoint holds it as JSON: tensors do not fit, tuples come back as lists, numbers as keys become words.
    """
    trial = case.once(whole)
    part = getattr(trial.parts, case.slot)
    state = read_state(part)
    if not state:
        raise NotApplicable("it has no state")
    remedy = "keep numbers, words, and lists and mappings by word of these; tensors belong to the supernet or a stage"
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

    Text among the measures cannot be drawn as a curve; a NaN makes a line that JSON readers refuse.
    """
    for event in case.once(whole).events:
        for name, value in getattr(event, "measures", {}).items():
            plain = isinstance(value, int | float) and math.isfinite(value)
            require(
                plain,
                f"a {type(event).__name__} has the measure {name}={value!r:.60}",
                "report finite numbers, or tensors of one",
            )
        try:
            json.dumps(event.record(), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Failed(f"a {type(event).__name__} cannot be written as JSON: {error}", "report plain data") from error


@check("optimizer", "schedule", "teacher")
def works_in_the_shortest_search(case: Case) -> None:
    """A search of a single step works.

    Constants that are fitted to the length of a search divide by what is 0 here.
    """
    case.once(whole)  # what breaks in any search is no matter of its length
    parts = case.once(plan).parts()
    trial = begin(attrs.evolve(parts, training=attrs.evolve(parts.training, epochs=1, batch_size=64)), seed=0)
    trial.train()
    trial.decide()
    require(
        all(math.isfinite(step.loss) for step in trial.steps),
        f"the loss of its only step is {trial.steps[0].loss if trial.steps else 0}",
        "guard what is computed from the length of the search",
    )


@check(*SEARCHING)
def computes_where_it_is_told(case: Case) -> None:
    """Nothing is moved to a GPU that nobody asked for, whether there is one or not.

    `.cuda()` inside a part ignores --device, and ends a run on a CPU.
    """
    case.once(whole)  # what breaks anywhere is no matter of devices
    with no_other_device():
        trial = begin(case.once(plan).parts(), seed=0)
        trial.train(1)
        trial.decide()


@check(*SEARCHING)
def leaves_global_generators_alone(case: Case) -> None:
    """Once the networks are built, a search draws from no global generator: Python's, NumPy's or torch's.

    Their state depends on what else the process did, so that no two runs agree, and is lost on resume.
    """
    before, after = case.once(whole).generators
    used = [name for name, state in before.items() if state != after[name]]
    require(
        not used,
        f"the global generator of {' and '.join(used)} is used",
        "draw from random.Random or torch.Generator, seeded with nasplug.values.seeds.derive_seed",
    )


def _drawn(case: Case, seed: int) -> dict[str, object]:
    """What a space or an optimizer draws with this seed."""
    parts = case.once(plan).parts()
    if case.slot == "space":
        genotype = parts.space.random(Random(0))
        torch.manual_seed(seed)
        supernet: Network = parts.space.supernet(SHAPE)
        torch.manual_seed(seed)
        return {"supernet": _weights(supernet), "network": _weights(parts.space.network(genotype, SHAPE))}
    optimizer = parts.optimizer
    if not optimizer.trains:
        return {"architectures": [each.record() for each in begin(parts, seed).decide()]}
    choices, generator = Choices(parts.space.choice_list()), torch.Generator().manual_seed(seed)
    before, drawn = generator.get_state(), dict[str, object]()
    optimizer.initialise(choices, generator)
    if not torch.equal(before, generator.get_state()):
        drawn["alpha and state"] = choices.alpha.tolist(), read_state(optimizer)
    masks = [optimizer.sample(parts.space, choices, now) for now in StepClock(4, 3).since(0)]
    if any(mask is not None for mask in masks):
        drawn["paths"] = [None if mask is None else mask.tolist() for mask in masks]
    return drawn


def _weights(net: Network) -> list[list[float]]:
    """Some of each weight that is drawn at random: not of biases and norms."""
    return [each.detach().flatten()[:100].tolist() for each in net.parameters() if each.ndim > 1]


def _difference(one: TinySearch, other: TinySearch) -> str | None:
    """The first part of the state in which two searches differ."""
    ours, theirs = one.state(), other.state()
    for name in {**ours, **theirs}:
        if name not in ours or name not in theirs or not torch.equal(ours[name], theirs[name]):
            return name
    for part, state in one.facts().items():
        for name, value in state.items():
            if other.facts()[part].get(name) != value:
                return f"{part}.{name}"
    return None


def _differing(found: str, expected: str) -> str:
    """Two records from the first character on in which they differ."""
    same = next((place for place, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other), 0)
    start = max(0, same - 20)
    return f"...{found[start : start + 60]}... instead of ...{expected[start : start + 60]}..."
