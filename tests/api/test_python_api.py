"""`nasplug.search`: a run in the hands of a Python program is that of the command line, whatever the program does."""

from __future__ import annotations

import importlib
import json
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from itertools import islice

import attrs
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import nasplug
import nasplug.cli.retrain  # before a fixture replaces what it imports
from nasplug.builtin.darts.space import Darts
from nasplug.builtin.data_sets.arrays import Arrays
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import Labels
from nasplug.errors import InputError, Interrupted, RunFailure
from nasplug.parts import PruningSchedule
from nasplug.values import Method, Verdict
from nasplug.values.darts import DARTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TINY = {"cells": 3, "channels": 2, "nodes": 2}
SHORT = {
    "preset": "tiny",
    "device": "cpu",
    "search": {"epochs": 1, "batch_size": 8},
    "retrain": {"epochs": 1, "batch_size": 16, "channels": 2, "widths": []},
    "select": {"networks": 1},
}
"""Four steps of a search and four of each retraining."""
ALONE = {"threads": 1, "jobs": 1, "measure_every": 0}


def tensors(few_images):
    """The few images as a program may hold them."""
    arrays = load_file(few_images)
    return torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2) / 255, arrays["labels"]


def state(run):
    """Everything that equal runs share: weights and genotypes, events without the names of runs."""
    files = sorted(run.glob("weights/*"))
    weights = {path.name: {name: each.tobytes() for name, each in load_file(path).items()} for path in files}
    genotypes = {path.name: path.read_text() for path in run.glob("genotypes/*")}
    return weights, genotypes, lines(run)


def lines(run):
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def status(run):
    return json.loads((run / "result.json").read_text())["status"]


@pytest.fixture(scope="module")
def whole(few_images, tmp_path_factory):
    """A run by names alone, in one go: its folder and the events that it gave."""
    out = tmp_path_factory.mktemp("whole") / "run"
    data = {"name": f"arrays:{few_images}", "validation": 0.0}
    search = nasplug.search(method="darts", space=TINY, data=data, out=out, run=ALONE, **SHORT)
    return out, list(search)


@pytest.fixture
def quick(whole, monkeypatch):
    """Reports take half of the time of runs as short as these; the first run of this module has one."""
    monkeypatch.setattr(sys.modules["nasplug.runs.pipeline"], "write_run_report", lambda folder, plugins: folder.path)


@attrs.define
class OwnSpace(Darts):
    """The space darts under another class."""


@attrs.define
class OwnOptimizer(Bilevel):
    """The optimizer bilevel under another class."""


@attrs.define
class OwnTeacher(Labels):
    """The teacher labels under another class."""


@attrs.define
class Calling(PruningSchedule):
    """Does what the schedule `keep` does, and calls its owner after every step."""

    call: Callable[[int], None] = attrs.field(kw_only=True)
    steps: int = attrs.field(default=0, init=False)

    def after_step(self, choices, now):
        self.steps += 1
        self.call(self.steps)
        return Verdict()


class Killed(BaseException):
    """The process is gone."""


def own_parts(whole):
    """The parts of a run, built from classes of this module."""
    recipe = nasplug.resume(whole[0]).recipe
    classes = {"space": OwnSpace, "optimizer": OwnOptimizer, "teacher": OwnTeacher}
    options = {slot: recipe.parts[slot].options for slot in classes}
    return {
        slot: cls(**{name: tuple(one) if isinstance(one, list) else one for name, one in options[slot].items()})
        for slot, cls in classes.items()
    }


def test_events_are_the_lines_of_the_journal_each_once_and_the_result_is_at_hand(whole):
    run, events = whole

    assert events == lines(run)
    assert list(dict.fromkeys(event["phase"].partition("/")[0] for event in events)) == [
        "search",
        "retrain",
        "baseline",
    ]
    assert (run / "report.html").is_file()
    search = nasplug.resume(run)
    assert list(search) == []
    best = search.result().best()
    assert best.network()(torch.zeros(1, 1, 8, 8)).shape == (1, 4)
    assert not best.network().training


def test_own_parts_and_images_give_the_same_run_however_often_the_loop_is_left(
    whole, quick, few_images, tmp_path, capsys
):
    run = tmp_path / "own"
    data = {"name": tensors(few_images), "validation": 0.0}
    parts = own_parts(whole)
    search = nasplug.search(method="darts", **parts, data=data, out=run, run=ALONE, **SHORT)
    events = []
    torch.manual_seed(5)
    drawn, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    for count in (1, 2, 1, 3, 1):
        for event in islice(search, count):
            events.append(event)
            assert status(run) == "running"
        assert status(run) == "stopped"
    rest = iter(search)
    events.append(next(rest))
    with pytest.raises(InputError, match="under way in another loop"):
        search.result()
    assert torch.equal(torch.rand(3), drawn)  # the run left the program's random numbers alone, and the other way round
    assert torch.get_num_threads() == threads
    events += rest
    assert (events, status(run)) == (lines(run), "done")
    assert state(run) == state(whole[0])
    assert search.result().best().id == nasplug.load(whole[0]).best().id


def test_networks_of_an_own_space_say_what_they_need(whole, quick, few_images, tmp_path, here):
    run = tmp_path / "own"
    data = {"name": tensors(few_images), "validation": 0.0}
    space = own_parts(whole)["space"]
    search = nasplug.search(method="random", space=space, data=data, out=run, run=ALONE, **SHORT)
    events = iter(search)
    next(events)
    events.close()

    stopped = here("resume", run)
    assert stopped.exit_code == 2
    name = f"{__name__}.OwnSpace"
    assert f"The search space {name} and the data set torch.Tensor came from a Python program" in stopped.stderr
    assert f"nasplug.resume('{run}', space=OwnSpace(...), data=...) goes on with the run" in stopped.stderr
    with pytest.raises(InputError, match=r"resume\(.*, space=OwnSpace\(...\), data=...\)"):
        nasplug.resume(run, space=space)
    with pytest.raises(InputError, match="has channels=2, but the one handed over has channels=3"):
        nasplug.resume(run, space=attrs.evolve(space, channels=3), data=tensors(few_images))
    with pytest.raises(InputError, match=r"is of the class .*OwnSpace, but got Darts"):
        nasplug.resume(run, space=Darts(), data=tensors(few_images))
    with pytest.raises(InputError, match="is 'labels', which needs no object to go on; leave 'teacher' out"):
        nasplug.resume(run, space=space, data=tensors(few_images), teacher=OwnTeacher())
    images, labels = tensors(few_images)
    with pytest.raises(InputError, match=r"not those that the run .* was started with \(changed: number 0"):
        nasplug.resume(run, space=space, data=(images.flip(0), labels))
    best = nasplug.resume(run, space=space, data=(images, labels)).result().best()
    expected = best.predict((images[:5] * 255).byte())

    for words in (("predict", run, few_images), ("export", run, "--format", "safetensors"), ("report", run)):
        refused = here(*words)
        assert refused.exit_code == 2, words
        assert f"nasplug.load('{run}', space=OwnSpace(...)) opens its networks" in refused.stderr
    assert not any("report" in note for note in json.loads((run / "result.json").read_text())["notes"])
    with pytest.raises(InputError, match="opens its networks"):
        nasplug.load(run).best().network()
    again = nasplug.load(run, space=space).best()
    assert torch.equal(again.predict((images[:5] * 255).byte()), expected)
    assert here("show", run).exit_code == 0
    assert here("compare", run, whole[0], "--json").exit_code == 0


def test_a_run_that_is_killed_and_interrupted_ends_as_one_that_is_not(whole, quick, few_images, tmp_path, here):
    run = tmp_path / "broken"
    data = {"name": tensors(few_images), "validation": 0.0}

    def kill(step):
        if step == 3:
            raise Killed

    def interrupt(step):
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    schedule = Calling(call=kill)
    search = nasplug.search(
        method="darts", space=TINY, schedule=schedule, data=data, out=run, run={**ALONE, "jobs": 1}, **SHORT
    )
    with pytest.raises(Killed):
        list(search)
    assert len(lines(run)) == 2  # and no checkpoint: they happen again
    assert schedule.steps == 0  # parts are built again from what is handed over

    images = tensors(few_images)
    handler = signal.getsignal(signal.SIGINT)
    search = nasplug.resume(run, schedule=Calling(call=interrupt), data=images)
    events = []
    with pytest.raises(Interrupted, match=r"Stopped by SIGINT; nothing is lost.*search.result") as stopped:
        events.extend(search)
    assert f"nasplug.resume('{run}', schedule=Calling(...), data=...)" in str(stopped.value)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (status(run), len(lines(run))) == ("stopped", 2)

    quiet = nasplug.resume(run, schedule=Calling(call=lambda step: None), data=images)
    events = lines(run)[:2] + list(quiet)
    assert events == lines(run)
    assert state(run) == state(whole[0])

    # The space has a name, so that other programs can use the networks, though not the images.
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "image.png")
    assert here("predict", run, tmp_path / "image.png").exit_code == 0
    exported = here("export", run, "--format", "safetensors")
    assert exported.exit_code == 0
    assert "random images" in exported.stdout


def test_runs_of_names_go_on_from_either_side(whole, quick, few_images, tmp_path, here):
    run = tmp_path / "names"
    data = {"name": f"arrays:{few_images}", "validation": 0.0}
    method = Method(name="mine", space="darts", optimizer="bilevel", options=DARTS.options, presets=DARTS.presets)
    # An instance of a registered class is as good as its name, and a recipe holds an own method whole.
    search = nasplug.search(method=method, space=TINY, schedule=Keep(), data=data, out=run, run=ALONE, **SHORT)
    assert [search.recipe.run.method, search.recipe.parts["schedule"].name] == ["python:mine", "keep"]
    with_own = list(islice(search, 2))
    done = here("resume", run)

    assert done.exit_code == 0, done.output
    assert with_own == lines(run)[:2]
    assert state(run) == state(whole[0])
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 1"))
    changed = here("resume", run)
    assert changed.exit_code == 2
    assert "was changed since the run was started" in changed.stderr
    refused = here("run", "--config", recipe, "--out", tmp_path / "again")
    assert refused.exit_code == 2
    assert "The method mine came from a Python program" in refused.stderr


def test_events_of_other_processes_are_told_too_and_importable_parts_reach_them(
    whole, quick, few_images, tmp_path, monkeypatch
):
    (tmp_path / "own_schedules.py").write_text(
        "import attrs\nfrom nasplug.parts import option\nfrom nasplug.engine.plain.keep import Keep\n\n"
        "@attrs.define\nclass Mine(Keep):\n    words: tuple[str, ...] = option((), 'not used')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_schedules").Mine(words=("a", "b"))
    run = tmp_path / "run"
    data = {"name": f"arrays:{few_images}", "validation": 0.0}
    short = {**SHORT, "run": {**ALONE, "jobs": 2}, "select": {"networks": 1, "random": 0}}  # one process is slow enough
    events = list(nasplug.search(method="darts", space=TINY, schedule=own, data=data, out=run, **short))
    sys.modules.pop("own_schedules")

    assert events == lines(run)
    assert events == [event for event in whole[1] if not event["phase"].startswith("baseline")]
    for name, weights in state(run)[0].items():
        assert weights == state(whole[0])[0][name]


def test_in_another_thread_with_progress(whole, quick, few_images, tmp_path, capsys):
    data = {"name": tensors(few_images), "validation": 0.0}
    search = nasplug.search(method="random", space=TINY, data=data, out=tmp_path / "run", run=ALONE, **SHORT)
    results = []
    thread = threading.Thread(target=lambda: results.append(search.result(progress=True)))
    thread.start()
    thread.join()

    assert results[0].record["status"] == "done"
    assert "retrain/" in capsys.readouterr().out
    assert search.result() == results[0]
    assert list(search) == []


def test_a_run_in_two_hands_is_refused_to_the_second(quick, few_images, tmp_path, here):
    run = tmp_path / "run"
    data = {"name": f"arrays:{few_images}", "validation": 0.0}
    first = iter(nasplug.search(method="random", space=TINY, data=data, out=run, run=ALONE, **SHORT))
    next(first)
    second = nasplug.resume(run)
    with pytest.raises(InputError, match="under way in this program already"):
        second.result()
    refused = here("resume", run)
    assert (refused.exit_code, status(run)) == (2, "running")
    assert "under way in this program already" in refused.stderr
    first.close()
    assert second.result().record["status"] == "done"


@pytest.mark.parametrize(("step", "sentence"), [(2, "removed; start the run again"), (4, "has lost its events")])
def test_a_run_folder_that_is_removed_in_mid_run_is_missed(step, sentence, quick, few_images, tmp_path):
    run = tmp_path / "run"
    data = {"name": f"arrays:{few_images}", "validation": 0.0}
    events = iter(nasplug.search(method="darts", space=TINY, data=data, out=run, run=ALONE, **SHORT))
    next(event for event in events if event["phase"].startswith("retrain") and event["step"] == step)
    shutil.rmtree(run)
    with pytest.raises(RunFailure, match=sentence):
        list(events)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_program_may_have_gradients_off_and_another_default_dtype(mode, whole, quick, few_images, tmp_path):
    run = tmp_path / "run"
    torch.set_default_dtype(torch.float64)
    try:
        with mode():
            data = {"name": tensors(few_images), "validation": 0.0}
            search = nasplug.search(method="darts", space=TINY, data=data, out=run, run=ALONE, **SHORT)
            net = search.result().best().network()
        assert (torch.get_default_dtype(), {each.dtype for each in net.parameters()}) == (
            torch.float64,
            {torch.float32},
        )
    finally:
        torch.set_default_dtype(torch.float32)
    net(torch.zeros(1, 1, 8, 8)).sum().backward()
    assert state(run) == state(whole[0])


SHAPES = [
    ({"classes": 0}, "The classes of images must be a whole number from 1 on, but got 0"),
    ({"classes": "a"}, "but got 'a'"),
    ({"classes": True}, "but got True"),
    ({"size": -1}, "The size of images"),
    ({"image_channels": 0}, "The channels of images"),
    ({"size": 0, "signals": True}, "The size of signals"),
    ({"space": "nb201", "channels": 4, "signals": True}, "builds networks for images, and signals are asked for"),
    ({"space": 5}, "'space' takes the name of a search space, such as 'darts', but got 5"),
]


@pytest.mark.parametrize(("arguments", "sentence"), SHAPES)
def test_a_supernet_that_cannot_be_is_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        nasplug.supernet(**{"space": "darts", **(TINY if "channels" not in arguments else {}), **arguments})


def test_a_supernet_can_be_for_signals():
    net = nasplug.supernet("darts", **TINY, signals=True, size=24, classes=3)
    assert net(torch.zeros(2, 1, 1, 24)).shape == (2, 3)
    assert all(each.kernel_size[0] == 1 for each in net.modules() if isinstance(each, torch.nn.Conv2d))


class NoPart:
    """A class that has nothing to do with nasplug."""


class Bare(PruningSchedule):
    """A schedule that is no attrs class."""

    def after_step(self, choices, now):
        return Verdict()


REFUSALS = [
    ({"method": "dnadd"}, "Did you mean 'dnad'"),
    ({"space": "dart"}, "There is no search space 'dart'. Did you mean 'darts'"),
    ({"space": {"cels": 4}}, "has no option 'cels'. Did you mean 'cells'"),
    ({"search": {"epoch": 4}}, "search has no option 'epoch'. Did you mean 'epochs'"),
    ({"search": 5}, "'search' takes options by name"),
    ({"search": {5: 1}}, "'search' takes options by name, such as {'epochs': 5}, but got {5: 1}"),
    ({"run": "abc"}, "'run' takes options by name, such as {'epochs': 5}, but got 'abc'"),
    ({"retrain": {"lr": "fast"}}, "must be a number, but it is 'fast'"),
    ({"space": Darts}, "'space' takes an instance, but Darts is a class; hand over Darts()"),
    ({"space": NoPart()}, "'space' takes the name of a search space or an instance of nasplug.parts.SearchSpace"),
    ({"method": Darts()}, "an instance of nasplug.values.Method"),
    ({"schedule": Bare()}, "put @attrs.define before it"),
    ({"schedule": "python:__main__.Mine"}, "The pruning schedule __main__.Mine came from a Python program"),
    ({"data": "digit"}, "There is no data set 'digit'"),
    ({"data": NoPart()}, "Data cannot be of type NoPart"),
    ({"data": Arrays()}, "needs a file, but none was named"),
    ({"data": {"name": (torch.zeros(4, 1, 8, 8), [0, 1, 0, 1]), "flip": True}}, "Did you mean 'flips'"),
    ({"run": {"jobs": 2}, "schedule": Calling(call=print)}, "run.jobs=2 retrains in other processes"),
    ({"run": {"jobs": 2}, "data": (torch.zeros(4, 1, 8, 8), [0, 1, 0, 1])}, "use jobs=1"),
    ({"device": "tpu"}, "names no device"),
    ({"config": "/no/such/recipe.toml"}, "cannot be read"),
    ({"teacher": "features", "optimizer": "random"}, "Optimizers that fit"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS)
def test_bad_input_is_refused_before_anything_is_made(arguments, sentence, tmp_path):
    asked = {"method": "darts", "preset": "tiny", "device": "cpu", "out": tmp_path / "run", **arguments}
    with pytest.raises(InputError) as refused:
        nasplug.search(**asked)

    assert sentence in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_without_asking_for_jobs_own_objects_are_noticed_once(few_images, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4))
    data = {"name": tensors(few_images), "validation": 0.0}
    search = nasplug.search(method="random", space=TINY, data=data, out=tmp_path / "run", **SHORT)

    assert search.recipe.run.jobs == 1
    assert capfd.readouterr().err.count("Networks are retrained one at a time") == 1
    with pytest.raises(InputError, match="exists already"):
        nasplug.search(method="random", space=TINY, data=data, out=tmp_path / "run", **SHORT)
    assert not capfd.readouterr().err  # nothing is retrained at all


def test_the_bare_supernet_can_be_had_after_a_search_as_before():
    import nasplug.supernets as package

    net = nasplug.supernet("darts", **TINY)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert package.Norm is not None
