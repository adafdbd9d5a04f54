"""Which images a run was started with, so that it is never continued with others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs
import numpy as np

from nasplug.data.class_names import printable
from nasplug.data.reading import all_of, list_some, list_targets, read_in_chunks
from nasplug.data.splits import Indices, Splits
from nasplug.data.survey import digest_pixels
from nasplug.errors import InputError
from nasplug.parts import ImageData, Images, Task
from nasplug.parts.classification import CLASSIFICATION
from nasplug.parts.recorded_task import read_task, record_task
from nasplug.values.shape import read_form, record_form


@attrs.frozen
class SetRecord:
    """The images for training, or those for the test."""

    names: tuple[str, ...] | None
    """As `Images.names`, with escapes for what no file of text can hold."""
    labels: tuple[Any, ...]
    """The class of each image, or a tuple of its targets."""
    digests: tuple[str, ...]
    """Of the files, where the images come from files, otherwise of the pixels."""

    @classmethod
    def of(cls, images: Images, pixels: Sequence[str] | None = None) -> Self:
        """The record of `images`. `pixels` has the digests of their pixels, if these are known."""
        digests = images.digests(range(len(images))) or pixels or _pixel_digests(images, all_of(images))
        return cls(_names_of(images), tuple(list_targets(images.labels)), tuple(digests))

    def find_difference(self, images: Images, only: Indices | None) -> str | None:
        """How `images` differ, as a part of a sentence; None if they are equal, as far as those at `only` tell."""
        names, labels = _names_of(images), list_targets(images.labels)
        if names is not None and self.names is not None and names != self.names:
            added, removed = sorted(set(names) - set(self.names)), sorted(set(self.names) - set(names))
            parts = [f"added: {list_some(added)}"] if added else []
            parts += [f"removed: {list_some(removed)}"] if removed else []
            return "; ".join(parts) or "the files are in another order"
        if len(labels) != len(self.labels):
            return f"there are {len(labels):,} images, and there were {len(self.labels):,}"
        if relabelled := [place for place, label in enumerate(self.labels) if labels[place] != label]:
            words = "of another class" if images.labels.ndim == 1 else "with other targets"
            return f"{words}: {list_some(self._name(relabelled))}"
        indices = all_of(images) if only is None else only
        digests = images.digests(indices.tolist()) or _pixel_digests(images, indices)
        changed = [
            index for index, digest in zip(indices.tolist(), digests, strict=True) if digest != self.digests[index]
        ]
        return f"changed: {list_some(self._name(changed))}" if changed else None

    def _name(self, indices: Sequence[int] | Indices) -> list[str]:
        return [f"number {index}" if self.names is None else self.names[index] for index in map(int, indices)]


@attrs.frozen
class DataRecord:
    """The images of a run, and what was said of them at its start."""

    classes: tuple[str, ...]
    size: int
    channels: int
    train: SetRecord
    test: SetRecord | None
    mean: tuple[float, ...]
    """Per channel, over the train split, on the scale from 0 to 1."""
    std: tuple[float, ...]
    notes: tuple[str, ...]
    leaks: tuple[str, ...] = ()
    """What was said of test images that are trained on."""
    skipped: tuple[str, ...] = ()
    """As `ImageData.skipped`."""
    task: Task = CLASSIFICATION
    """As `ImageData.task`, with what was measured on the train split."""
    dims: int = 2
    dtype: str = "uint8"
    """As those of `ImageData`."""

    def find_difference(self, data: ImageData, only: Mapping[str, Indices] | None = None) -> str | None:
        """How `data` differ from the images recorded, as a part of a sentence; None if they are the same.

        The images are compared one by one, with `only` those at its indices of "train" and "test".
        """
        for option, before, now in (
            ("task", self.task.name, data.task.name),
            ("classes", self.classes, data.classes),
            ("size", self.size, data.size),
            ("channels", self.channels, data.channels),
            ("dims", self.dims, data.dims),
            ("dtype", self.dtype, data.dtype),
        ):
            if before != now:
                return f"{option} {_shorten(now)}, and it was {_shorten(before)}"
        if (self.test is None) != (data.test is None):
            return "test images of their own were added" if self.test is None else "the test images were removed"
        none = np.empty(0, np.int64)
        for name, record, images in (("train", self.train, data.train), ("test", self.test, data.test)):
            if record is not None and images is not None:
                difference = record.find_difference(images, None if only is None else only.get(name, none))
                if difference is not None:
                    return difference
        return None

    def digest(self) -> str:
        """Identifies these images, their labels and their order, at whatever size they are read."""
        sets = [None if each is None else (each.labels, each.digests) for each in (self.train, self.test)]
        return _digest([self.classes, sets])

    def split_digests(self, splits: Splits) -> dict[str, str]:
        """By name, what identifies the images of each split, whatever their order."""
        return {name: _digest(sorted(self.members(splits, name))) for name in ("train", "validation", "test")}

    def members(self, splits: Splits, name: str) -> list[tuple[str, Any]]:
        """Digest and label of each image of a split: "train", "validation" or "test"."""
        record = self.train
        if name == "test" and splits.test_from == "test" and self.test is not None:
            record = self.test
        return [(record.digests[index], record.labels[index]) for index in getattr(splits, name)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the task is there unless it is a classification, the form unless these are images of bytes."""
        fields = attrs.asdict(self, filter=lambda field, _: field.name not in ("task", "dims", "dtype"))
        return {**fields, **record_task(self.task), **record_form(self.dims, self.dtype)}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote. Raises InputError if it is damaged."""
        try:
            dims, dtype = read_form(entries)
            return cls(
                classes=tuple(entries["classes"]),
                size=int(entries["size"]),
                channels=int(entries["channels"]),
                train=_set_record(entries["train"]),
                test=None if entries["test"] is None else _set_record(entries["test"]),
                mean=tuple(map(float, entries["mean"])),
                std=tuple(map(float, entries["std"])),
                notes=tuple(map(str, entries["notes"])),
                leaks=tuple(map(str, entries.get("leaks", ()))),  # new in version 0.2
                skipped=tuple(map(str, entries.get("skipped", ()))),
                task=read_task(entries),
                dims=dims,
                dtype=dtype,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"The record of the images is damaged ({error!r}); restore it from a copy.") from error


def _set_record(entries: Mapping[str, Any]) -> SetRecord:
    names = entries["names"]
    labels, digests = tuple(map(_read_label, entries["labels"])), tuple(map(str, entries["digests"]))
    if not len(labels) == len(digests) == len(labels if names is None else names):
        raise ValueError("its lists are of different lengths")
    return SetRecord(None if names is None else tuple(map(str, names)), labels, digests)


def _read_label(entry: object) -> Any:
    """A class, or the targets of an image, as `list_targets` gives them."""
    if not isinstance(entry, list):
        return int(entry)  # type: ignore[call-overload]
    if not all(isinstance(value, int | float) for value in entry):
        raise ValueError("a label is no number")
    return tuple(entry)


def _names_of(images: Images) -> tuple[str, ...] | None:
    return None if images.names is None else tuple(map(printable, images.names))


def _pixel_digests(images: Images, indices: Indices) -> list[str]:
    return [digest for pixels in read_in_chunks(images, indices) for digest in digest_pixels(pixels)]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _shorten(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
