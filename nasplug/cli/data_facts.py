"""What `nasplug data` tells of a data set, as plain data ready for JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from nasplug.compose import Composition
from nasplug.data.duplicates import SPLITS, Copy, Duplicates
from nasplug.data.file_facts import QUANTILES, FileFacts, quantiles
from nasplug.data.notes import describe_folds
from nasplug.data.overview import Overview
from nasplug.data.suggestions import suggest_batch_size, suggest_size
from nasplug.engine.assembly import search_splits
from nasplug.parts import ImageData
from nasplug.values.options import option_fields


@attrs.frozen
class Given:
    """What the command line says beside the name of the data set."""

    words: Sequence[str]
    """Those that a run needs to find and divide these images in the same way."""
    options: frozenset[str]
    """The options of the data that it sets; no other values are suggested for them."""


def collect_facts(composition: Composition, overview: Overview, given: Given) -> dict[str, Any]:
    """Everything that is printed."""
    data = overview.data
    duplicates = overview.find_duplicates(closely=True)
    remarks = overview.remark(duplicates)
    folds = (
        [describe_folds(overview.folds, len(overview.splits.development), data.task, data.input_word)]
        if overview.folds
        else []
    )
    files = _read_files(data)
    classes = _count_classes(overview)
    suggestions = [
        each
        for each in _suggest(composition, overview, files)
        if each["default"] or each["option"].removeprefix("data.") not in given.options
    ]
    return {
        "data": composition.recipe.data.name,
        "images": sum(len(indices) for indices in duplicates.members.values()),
        "splits": {name: len(indices) for name, indices in duplicates.members.items()},
        "task": data.task.name,
        "classes": classes,
        "values": [] if classes else _describe_values(data),
        "balance": _balance(classes) if data.task.has_classes else None,
        "size": data.size,
        "dims": data.dims,
        "dtype": data.dtype,
        "channels": data.channels,
        "files": None if files is None else _describe_files(files),
        "grey": _count_grey(overview),
        "mean": list(overview.mean),
        "std": list(overview.std),
        "nearly_equal_looked_for": overview.has_thumbnails,
        "duplicates": _list_overlaps(duplicates),
        "leaks": list(remarks.leaks),
        "contradictions": list(remarks.contradictions),
        "notes": [*overview.noticed, *remarks.notes, *folds],
        "suggestions": suggestions,
        "command": _command(composition, suggestions, given.words),
    }


def _read_files(data: ImageData) -> FileFacts | None:
    found = [images.files for images in (data.train, data.test) if images is not None]
    paths = [path for files in found for path in files or ()]
    return FileFacts.read(paths) if paths else None


def _count_classes(overview: Overview) -> list[dict[str, Any]]:
    """The images of each class, or with each label; empty where outputs are numbers."""
    data, splits = overview.data, overview.splits
    sources = {"train": data.train, "validation": data.train, "test": splits.test_images(data)}
    counts: dict[str, list[int]] = {}
    for name, images in sources.items():
        found = data.task.count_images(images.labels[getattr(splits, name)], len(data.classes))
        if found is None:
            return []
        counts[name] = found.tolist()
    totals = [sum(counts[name][label] for name in SPLITS) for label in range(len(data.classes))]
    images_of_all = sum(len(getattr(splits, name)) for name in SPLITS)
    return [
        {
            data.task.output: data.classes[label],
            **{name: counts[name][label] for name in SPLITS},
            "images": total,
            "share": total / images_of_all,
        }
        for label, total in enumerate(totals)
    ]


def _describe_values(data: ImageData) -> list[dict[str, Any]]:
    """The numbers of each output, over all images."""
    targets = np.concatenate([images.labels for images in (data.train, data.test) if images is not None])
    return [
        {
            data.task.output: name,
            "mean": float(column.mean()),
            "deviation": float(column.std()),
            "least": float(column.min()),
            "most": float(column.max()),
        }
        for name, column in zip(data.classes, targets.astype(np.float64).T, strict=True)
    ]


def _balance(classes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    largest = max(classes, key=lambda row: row["images"])
    smallest = min(classes, key=lambda row: row["images"])
    return {
        "largest": largest["class"],
        "smallest": smallest["class"],
        "ratio": largest["images"] / smallest["images"],
    }


def _describe_files(files: FileFacts) -> dict[str, Any]:
    return {
        "formats": dict(files.formats),
        "modes": dict(files.modes),
        "quantiles": list(QUANTILES),
        "width": quantiles(files.widths),
        "height": quantiles(files.heights),
        "shorter_side": quantiles(files.shorter_sides),
    }


def _count_grey(overview: Overview) -> int | None:
    """Images of three channels that are equal; None where there is one channel."""
    if overview.data.channels == 1 or overview.data.dims == 1:
        return None
    return sum(int(seen.grey.sum()) for seen in (overview.train, overview.test) if seen is not None)


def _list_overlaps(duplicates: Duplicates) -> list[dict[str, Any]]:
    def named(copies: Sequence[Copy]) -> list[list[str]]:
        return [[duplicates.names[copy], duplicates.names[original]] for copy, original in copies]

    return [
        {"splits": [each.first, each.second], "equal": named(each.equal), "nearly_equal": named(each.near)}
        for each in duplicates.overlaps()
    ]


def _suggest(composition: Composition, overview: Overview, files: FileFacts | None) -> list[dict[str, Any]]:
    """Options that suit these images, each with its reason, and whether a run has to be told."""
    data, splits = overview.data, overview.splits
    recipe, known = composition.recipe, option_fields(type(composition.source))
    found: list[tuple[str, Any, Any, str]] = []
    if files is not None and "size" in known:
        median = quantiles(files.shorter_sides)[QUANTILES.index(0.5)]
        found.append(
            ("data.size", suggest_size(files.shorter_sides), data.size, f"the median shorter side is {median} pixels")
        )
    images = len(data.train) + (0 if data.test is None else len(data.test))
    if "channels" in known and _count_grey(overview) == images:
        found.append(("data.channels", 1, data.channels, "all images are grey"))
    share = max(search_splits(composition).values())
    for section, trained, usual in (
        ("search", int(share * len(splits.train)), recipe.search.batch_size),
        ("retrain", len(splits.train), recipe.retrain.batch_size),
    ):
        size = suggest_batch_size(trained, usual)
        steps = max(trained // size, 1)  # what is left of a batch is in no step
        reason = f"{steps:,} step{'' if steps == 1 else 's'} in an epoch of {trained:,} {data.input_word}s"
        found.append((f"{section}.batch_size", size, usual, reason))
    held_out = len(splits.validation)
    reason = (
        f"{held_out:,} {data.input_word}s are held out, one of which is {1 / held_out:.2%}"
        if held_out
        else "none is held out"
    )
    found.append(("data.validation", recipe.data.validation, recipe.data.validation, reason))
    return [
        {"option": option, "value": value, "because": because, "default": value == present}
        for option, value, present, because in found
    ]


def _command(composition: Composition, suggestions: Sequence[Mapping[str, Any]], words: Sequence[str]) -> str:
    """The command that starts a run on these images with what is suggested."""
    settings = [f"--set={each['option']}={each['value']}" for each in suggestions if not each["default"]]
    return shlex.join(["nasplug", "run", "--data", composition.recipe.data.name, *words, *settings])
