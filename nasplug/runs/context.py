"""Everything that the phases of one run share."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch

from nasplug.compose import Composition, check_versions, compose, resolve_recorded
from nasplug.data import (
    BatchStream,
    DataRecord,
    Fold,
    Splits,
    divide,
    load_splits,
    make_splits,
    mean_and_std,
    save_splits,
    sequential_batches,
)
from nasplug.data.class_names import check_class_names
from nasplug.data.notes import describe_folds
from nasplug.data.overview import Overview
from nasplug.engine import Confusion, Stream, measure_confusion, measure_errors
from nasplug.engine.assembly import search_splits
from nasplug.engine.ranks import ALONE, Ranks
from nasplug.errors import InputError
from nasplug.parts import Batch, CostModel, Errors, ImageData, Images, Network, SearchSpace, Task
from nasplug.parts.recorded_task import record_task
from nasplug.plugins import Plugins, Settings
from nasplug.plugins.hook_calls import note
from nasplug.plugins.program_objects import PluginsWithObjects, resume_hint
from nasplug.runs.data import (
    UNRECORDED,
    check_count,
    load_data,
    look_at_data,
    make_data_record,
    record_choices,
    reload_data,
    write_data_record,
)
from nasplug.runs.device import DeviceOptions, find_device, uses_bf16
from nasplug.runs.form_fit import check_form
from nasplug.runs.rank_check import check_ranks
from nasplug.runs.task_fit import check_task, describe_task
from nasplug.store.events import EventCallback, Journal
from nasplug.store.layer_table import LayerTable
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype, ImageShape, Training
from nasplug.values.checksum import recipe_was_changed
from nasplug.values.recipe import Recipe
from nasplug.values.seeds import derive_seed
from nasplug.values.shape import record_form


@attrs.frozen(eq=False)
class RunContext:
    """One run: its folder, its parts, its data and where it computes."""

    folder: RunFolder
    plugins: Plugins
    composition: Composition
    data: ImageData
    splits: Splits
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device
    record: DataRecord | None
    """Which images they were when the run was started; None: it was started by a version that recorded nothing."""
    overview: Overview | None = None
    """What was seen of the images of a run that is about to start."""
    ranks: Ranks = ALONE
    """The processes that share each training of the run."""

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return self.composition.recipe

    @property
    def shape(self) -> ImageShape:
        """Shape and normalisation of the images, and the number of classes."""
        return ImageShape(
            channels=self.data.channels,
            size=self.data.size,
            classes=len(self.data.classes),
            mean=self.mean,
            std=self.std,
            dims=self.data.dims,
        )

    @property
    def task(self) -> Task:
        """What networks answer, with what was measured on the training images when the run was started."""
        return self.data.task if self.record is None else self.record.task

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the images of this run, besides leaks."""
        recorded = (UNRECORDED,) if self.record is None else self.record.notes
        recorded = (*describe_task(self.composition, self.task), *recorded)
        folds = self.recipe.data.folds
        return (
            (*recorded, describe_folds(folds, len(self.splits.development), self.task, self.data.input_word))
            if folds
            else recorded
        )

    @property
    def leaks(self) -> tuple[str, ...]:
        """What a user must know of test images that are trained on."""
        return () if self.record is None else self.record.leaks

    @property
    def bf16(self) -> bool:
        """Whether networks compute in bfloat16."""
        return uses_bf16(self.recipe.run.precision, self.device)

    @property
    def device_options(self) -> DeviceOptions:
        """How far the host may be ahead of the device, CUDA graphs, and where the images are kept."""
        options = DeviceOptions.of(self.recipe.run, self.device)
        return attrs.evolve(options, cuda_graphs=False) if self.ranks.several else options

    @property
    def resume_hint(self) -> str:
        """The command, or the call in Python, that resumes this run."""
        if isinstance(self.plugins, PluginsWithObjects):
            return resume_hint(self.plugins, self.folder.path)
        paths = [
            plugin.path for plugin in self.plugins.all if plugin.path and plugin.distribution in self.recipe.plugins
        ]
        return shlex.join(["nasplug", "resume", str(self.folder.path), *(f"--plugin={path}" for path in paths)])

    def journal(self, path: Path, on_event: EventCallback) -> Journal:
        """A journal of this run: each event goes to the observers among the plugins, then to `on_event`."""
        return Journal(path, self.observed(on_event))

    def observed(self, on_event: EventCallback) -> EventCallback:
        """What calls the observers among the plugins, then `on_event`."""

        def notify_all(event: Mapping[str, Any]) -> None:
            self.plugins.notify(self.folder.path, event)
            on_event(event)

        return notify_all

    def seed(self, *words: object) -> int:
        """The seed of this run for the purpose that `words` name."""
        return derive_seed(self.recipe.run.seed, *words)

    def random(self, *words: object) -> Random:
        """A generator of this run for the purpose that `words` name."""
        return Random(self.seed(*words))

    def stream(self, phase: str, split: str, indices: npt.NDArray[np.int64], training: Training) -> Stream:
        """Augmented batches of a split for one phase."""
        return BatchStream(
            self.data.train,
            indices,
            training=training,
            flips=self.data.flips,
            shift=self.data.shift,
            dims=self.data.dims,
            mean=self.mean,
            std=self.std,
            seed=self.recipe.run.seed,
            phase=phase,
            split=split,
            device=self.device,
            resident=self.device_options.device_data,
            task=self.task,
            share=self.ranks.share,
        )

    def division(self, fold: Fold | None, held_out: str = "") -> Splits:
        """How the images are divided where a network is trained to be chosen or kept.

        With `fold`, this fold is validated on; with `held_out`, this share of the search. Without, it is the division
        of the run; where folds are what networks are chosen by (`data.folds`), nothing is held out for validation then.
        """
        if held_out:
            share = self.shares()[held_out]
            return attrs.evolve(self.splits, train=np.setdiff1d(self.splits.train, share), validation=share)
        if fold is not None:
            return self.splits.with_fold(fold, self.task.strata(self.data.train.labels), self.recipe.run.seed)
        return self.splits.without_validation() if self.recipe.data.folds else self.splits

    def shares(self) -> dict[str, npt.NDArray[np.int64]]:
        """Indices of the shares into which the search divides the train split, by name."""
        return divide(self.splits.train, search_splits(self.composition), self.seed("shares"))

    def sample_batches(self, indices: npt.NDArray[np.int64], count: int, batch: int, *words: object) -> Iterator[Batch]:
        """A random sample of at most `count` of the train images at `indices`, in batches of `batch`, not augmented.

        The same `words` give the same sample. It is random because data sets may be sorted by class: the first images
        may be of a few classes only.
        """
        sampled = np.random.default_rng(self.seed(*words)).permutation(indices)[:count]
        return self._batches_in_order(self.data.train, sampled, batch)

    def teacher(self) -> tuple[SearchSpace, Genotype] | None:
        """The network that the distillation teacher asks for, or None: a space of the wanted size and the genotype."""
        return self.composition.teacher.network(self.composition.space, self.random("teacher"))

    def cost_model(self, space: SearchSpace) -> CostModel:
        """What networks of `space` cost by the measures of this run."""
        return CostModel(space, self.shape, self.composition.costs, LayerTable(notice=note))

    def validation_errors(self, net: Network, indices: npt.NDArray[np.int64]) -> Errors | None:
        """The errors of `net` on the train images at `indices`, which were held out; None if there are none."""
        if len(indices) == 0:
            return None
        return measure_errors(net, self._batches_in_order(self.data.train, indices, 256))

    def test_answers(self, net: Network) -> tuple[Errors, Confusion | None] | None:
        """The errors of `net` on the test images, and which classes it takes for which if there are classes.

        None if there are no test images.
        """
        if len(self.splits.test) == 0:
            return None
        batches = self._batches_in_order(self._test_images(), self.splits.test, 256)
        if not self.task.has_classes:
            return measure_errors(net, batches), None
        confusion = measure_confusion(net, batches)
        return confusion.errors, confusion

    def _batches_in_order(self, images: Images, indices: npt.NDArray[np.int64], batch: int) -> Iterator[Batch]:
        resident = self.device_options.device_data
        return sequential_batches(
            images, indices, batch, self.mean, self.std, self.device, resident=resident, task=self.task
        )

    def _test_images(self) -> Images:
        if self.splits.test_from == "train":
            return self.data.train
        if self.data.test is None:
            raise InputError(f"The data set '{self.data.name}' has lost its test images since this run was started.")
        return self.data.test

    def preprocessing(self) -> dict[str, Any]:
        """Classes, size and normalisation of the images, as plain data for result and weights files.

        With them is the task, unless it is a classification, of which files say nothing, and the form of signals.
        """
        return {
            "classes": list(self.data.classes),
            "size": self.data.size,
            "channels": self.data.channels,
            "mean": list(self.mean),
            "std": list(self.std),
            "bits": self.data.bits,
            **record_task(self.task),
            **record_form(self.data.dims, self.data.dtype),
        }


def new_context(folder: RunFolder, plugins: Plugins, recipe: Recipe, ranks: Ranks = ALONE) -> RunContext:
    """Composes and checks everything that a run needs, and writes nothing."""
    plugins.refuse_unknown_observers(Settings.from_environment().observe)
    composition = compose(plugins, recipe)
    device = find_device(recipe.run.device)
    ranks = check_ranks(ranks, recipe, device)
    data = load_data(composition)
    composition = record_choices(composition, data)
    check_class_names(data)
    check_task(plugins, composition, data)
    check_form(composition, data)
    splits = make_splits(data, recipe.run.seed, recipe.data.validation, recipe.data.test, recipe.data.folds)
    overview = look_at_data(data, splits, recipe.data.folds)
    record = make_data_record(overview, closely=False)
    norm = record.mean, record.std
    return RunContext(folder, plugins, composition, data, splits, *norm, device, record, overview, ranks)


def look_closely(context: RunContext) -> RunContext:
    """A run that is about to start, with what is said of nearly equal images.

    They are looked for when nothing can refuse the run any more, because that takes seconds.
    """
    overview, record = context.overview, context.record
    if overview is not None and overview.has_thumbnails:
        record = make_data_record(overview, closely=True)
    return attrs.evolve(context, record=record, overview=None)


def write_start(context: RunContext, command: list[str]) -> None:
    """Writes the first files of a new run; from now on it can be resumed."""
    save_splits(context.splits, context.folder.splits)
    if context.record is not None:
        write_data_record(context.folder, context.record, context.composition)
    context.folder.write_recipe(context.recipe.to_dict() | {"environment": environment(command)})


def reopen_context(folder: RunFolder, plugins: Plugins, ranks: Ranks = ALONE) -> RunContext:
    """The context of a run that was started before; InputError if plugins, data or files have changed."""
    plugins.refuse_unknown_observers(Settings.from_environment().observe)
    recipe = recorded_recipe(folder, plugins)
    folder.check_recipe()
    device = find_device(recipe.run.device)
    ranks = check_ranks(ranks, recipe, device)
    composition = compose(plugins, recipe)
    data, record = reload_data(folder, composition)
    splits = load_splits(folder.splits)
    if record is None:
        check_count(folder, data, splits)
    tests = data.test if splits.test_from == "test" else data.train
    known = [(splits.train, data.train), (splits.validation, data.train), (splits.test, tests)]
    if any(images is not None and len(indices) and int(indices.max()) >= len(images) for indices, images in known):
        raise InputError(f"'{folder.splits}' names images that '{data.name}' does not have; restore it from a copy.")
    mean, std = mean_and_std(data.train, splits.train) if record is None else (record.mean, record.std)
    return RunContext(folder, plugins, composition, data, splits, mean, std, device, record, ranks=ranks)


def show_notes(context: RunContext, say: Callable[[str], object] = note) -> None:
    """Tells the user what is notable about the images, line by line; on stderr unless `say` does otherwise.

    Whether the recipe was changed since the run was started is said on stderr.
    """
    note_changed_recipe(context.folder)
    for text in context.leaks:
        say(f"Warning: {text}")
    for text in context.notes:
        say(f"Note: {text}")


def note_changed_recipe(folder: RunFolder) -> None:
    """Says on stderr if the recipe of a run that goes on is not the one that it was started with."""
    if recipe_was_changed(folder.recipe()):
        note(
            f"'{folder.path / 'recipe.toml'}' was changed since the run was started; what is still to come follows it "
            f"as it is now."
        )


def recorded_recipe(folder: RunFolder, plugins: Plugins) -> Recipe:
    """The recipe of a run that was started before.

    Raises InputError if plugins have changed, or if objects of a Python program are missing.
    """
    sections = folder.recipe()
    check_versions(plugins, sections["plugins"])
    return resolve_recorded(plugins, folder.recipe_layer(), folder.path)


def environment(command: list[str]) -> dict[str, Any]:
    """The machine and the software of a run, for the record."""
    return {
        # Names of files may have letters that no text has; they cannot be written down.
        "command": [word.encode(errors="replace").decode() for word in command],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "executable": Path(sys.executable).name,
    }
