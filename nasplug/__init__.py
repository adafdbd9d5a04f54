"""Plugin-based neural architecture search: small trained networks for your images.

>>> import nasplug
>>> search = nasplug.search(method="dnad", data="digits", preset="tiny")   # doctest: +SKIP
>>> net = search.result().best(max_params=50_000).network()   # doctest: +SKIP

Importing nasplug never imports torch; its functions do when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from torch.utils.data import Dataset

    from nasplug.api.python_api import Search
    from nasplug.parts import (
        ArchitectureOptimizer,
        DataSource,
        DistillationTeacher,
        ImageData,
        PruningSchedule,
        SearchSpace,
        Selector,
        Supernet,
    )
    from nasplug.results.result import Result
    from nasplug.supernets import Choose, ModuleSpace
    from nasplug.values import Method, Progress

    Options = Mapping[str, Any]
    Labelled = Dataset[Any] | tuple[Tensor | np.ndarray, Any]
    Data = str | Labelled | tuple[Labelled, Labelled] | ImageData | DataSource

__version__ = "0.2.0"
__all__ = ["Choose", "__version__", "load", "resume", "search", "space_from", "supernet"]


def __getattr__(name: str) -> Any:
    """`Choose`, which is a class of torch, when it is asked for."""
    if name == "Choose":
        from nasplug.supernets import Choose

        return Choose
    raise AttributeError(f"module 'nasplug' has no attribute {name!r}")


def search(
    *,
    method: str | Method | None = None,
    space: str | SearchSpace | Options | None = None,
    optimizer: str | ArchitectureOptimizer | Options | None = None,
    schedule: str | PruningSchedule | Options | None = None,
    teacher: str | DistillationTeacher | Options | None = None,
    selector: str | Selector | Options | None = None,
    data: Data | Options | None = None,
    preset: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    config: str | Path | None = None,
    search: Options | None = None,
    retrain: Options | None = None,
    select: Options | None = None,
    budget: Options | None = None,
    costs: Mapping[str, Options] | None = None,
    run: Options | None = None,
    executor: str | Options | None = None,
) -> Search:
    """Starts a run, as `nasplug run` does, and returns it; nothing is trained yet.

    Iterating over it carries it out and yields its events; `.result()` carries out the rest and returns its networks.

    Arguments are the sections of a run's `recipe.toml`. `space`, `optimizer`, `schedule`, `teacher` and `selector` take
    the name of a part, an instance of an own class (of `nasplug.parts`), or options: `space={"cells": 4}` for the
    method's part, `space={"part": "darts", "cells": 4}` for another one. `method` takes a name or a
    `nasplug.values.Method`.
    `data` takes a name ("digits", "folder:photos"), a torch `Dataset` of (image, label), a pair (images, labels), two
    of these for training and test, three for training, validation and test, an `ImageData` or a `DataSource`, or
    options: `data={"name": ..., "size": 64}`.
    Images are Pillow images, arrays with channels last or tensors with channels first, uint8 or from 0 to 1.
    `search`, `retrain`, `select` and `run` take options: `retrain={"epochs": 50}`, `run={"jobs": 2}`.
    `budget` takes limits by cost measure, each a number in its unit, text, or a list of these for networks within each:
    `budget={"params": 50_000, "latency": "2ms"}`; `costs` takes options of measures by their names.
    `executor` takes the name of what carries out retrainings, or options: `executor={"part": "ray", "cpus": 2}`.
    `preset`, `seed` and `device` are options of `run`; `out` is the run folder (a new one under runs/ by default) and
    `config` a recipe to start from.

    Raises nasplug.errors.InputError for what cannot be carried out, before anything is trained.
    """
    from nasplug.api.python_api import begin

    words = {"method": method, "preset": preset, "seed": seed, "device": device}
    sections = {
        "space": _section(space, "part"),
        "optimizer": _section(optimizer, "part"),
        "schedule": _section(schedule, "part"),
        "teacher": _section(teacher, "part"),
        "selector": _section(selector, "part"),
        "data": _section(data, "name"),
        "search": search,
        "retrain": retrain,
        "select": select,
        "budget": budget,
        **(costs or {}),
        "executor": _section(executor, "part"),
        "run": _add_options(run, {name: word for name, word in words.items() if word is not None}),
    }
    return begin({name: section for name, section in sections.items() if section is not None}, out, config, _show)


def resume(
    run: str | Path,
    *,
    space: SearchSpace | None = None,
    optimizer: ArchitectureOptimizer | None = None,
    schedule: PruningSchedule | None = None,
    teacher: DistillationTeacher | None = None,
    selector: Selector | None = None,
    data: Data | None = None,
) -> Search:
    """A run that was stopped, ready to go on exactly where it stood.

    Own objects that it was started with must be handed over again: parts of the same class with the same options, and
    the same images in the same order. Raises nasplug.errors.InputError where they are missing or others.
    """
    from nasplug.api.python_api import resume_search

    given = {
        "space": space,
        "optimizer": optimizer,
        "schedule": schedule,
        "teacher": teacher,
        "selector": selector,
        "dataset": data,
    }
    return resume_search(run, {slot: value for slot, value in given.items() if value is not None}, _show)


def load(run: str | Path, *, space: SearchSpace | None = None) -> Result:
    """The result of a run folder: `load(run).best(max_params=...)` is a trained network.

    Networks of an own space need an instance of its class. Raises nasplug.errors.InputError if `run` is no run folder.
    """
    from nasplug.api.python_api import open_result

    return open_result(run, space)


def supernet(
    space: str,
    *,
    classes: int = 10,
    size: int = 32,
    image_channels: int | None = None,
    signals: bool = False,
    **options: Any,
) -> Supernet:
    """The bare supernet of a search space, as an `nn.Module`: `forward(images)` and `choices`.

    It is for images of `size` x `size` pixels, or, with `signals`, for signals of `size` samples, which `forward` takes
    as (N, C, 1, L); `image_channels` are 3, or 1 for signals, by default. `options` are those of the space (`nasplug
    show darts`). Raises nasplug.errors.InputError for unknown ones, for numbers of classes, pixels or channels below
    1, and for signals if the space is for images alone.
    """
    from nasplug.errors import InputError
    from nasplug.plugins import load_plugins
    from nasplug.plugins.program_objects import build_part
    from nasplug.runs.form_fit import input_shape

    if not isinstance(space, str):
        raise InputError(f"'space' takes the name of a search space, such as 'darts', but got {space!r:.80}.")
    built: SearchSpace = build_part(load_plugins(), "space", space, options)
    return built.supernet(input_shape(built, size=size, channels=image_channels, classes=classes, signals=signals))


def space_from(
    factory: Callable[..., nn.Module], *, name: str | None = None, channels: str | None = None
) -> type[ModuleSpace]:
    """The class of the search space whose networks a class or function of one's own makes.

    The modules that `factory` makes hold `nasplug.Choose` in some places; a genotype says which candidate stands there.
    It is called anew for each network, with `image_channels` and `classes`, and with `size` (pixels) if it takes that.
    All its other parameters need defaults; those that are numbers, text or truth values are options of the space.

    `name` is the name of the space, by which genotypes refer to it: by default that of the factory in lower case. The
    whole number `channels` names (by default the parameter `channels`, if there is one) is the width of networks, which
    a budget scales; it is the option `channels` of the space. Without one all networks have one size.

    Register the class in a plugin, or pass an instance of it: `nasplug.search(space=space_from(ResNet)())`. Raises
    nasplug.errors.InputError for a module in place of what makes it, and for parameters that cannot be filled in.
    """
    from nasplug.supernets.module_space import space_from

    return space_from(factory, name=name, channels=channels)


def _section(value: Any, key: str) -> Options | None:
    """An argument as a section of a recipe."""
    return value if value is None or isinstance(value, Mapping) else {key: value}


def _add_options(run: Any, words: Options) -> Any:
    """The section `run` with the arguments that are options of it. A `run` of another type is refused later."""
    return {**(run or {}), **words} if run is None or isinstance(run, Mapping) else run


def _show(progress: Iterable[Progress]) -> None:
    from nasplug.ui import PrintableConsole, show_progress

    show_progress(progress, PrintableConsole())
