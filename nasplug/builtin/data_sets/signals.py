"""Signals, of one dimension, that another program has prepared as arrays in one file, safetensors or npz."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from nasplug.builtin.data_sets.array_files import describe, load_arrays
from nasplug.data.images import with_validation
from nasplug.data.targets import note_one_label
from nasplug.errors import InputError
from nasplug.parts import DataSource, ImageData
from nasplug.values.options import option


@attrs.frozen
class Signals(DataSource):
    """`--data signals:FILE`: `signals`, (N, L) or (N, C, L), and `labels`, in a safetensors or npz file.

    Values are uint8, or float32 on any scale, which are taken as they are. Labels, further splits and the names of
    classes are those of the data set `arrays`, with `signals` in place of `images`: `test_signals`, and so on.
    """

    location_is_path: ClassVar[bool] = True

    shift: int | None = option(
        None, "how far standard augmentation shifts signals, in samples; unset: an eighth of their length", at_least=0
    )

    def load(self, location: str, root: Path | None, download: bool) -> ImageData:
        """Reads and checks the whole file."""
        loaded = load_arrays(location, "signals", "signals", signals_to_rows)
        _, channels, _, size = loaded.train.pixels.shape
        data = ImageData(
            "signals",
            loaded.classes,
            size,
            channels,
            loaded.train,
            loaded.test,
            flips=False,
            shift=size // 8 if self.shift is None else self.shift,
            notes=note_one_label(loaded.train.labels, loaded.task),
            task=loaded.task,
            dims=1,
            dtype=str(loaded.train.pixels.dtype).removeprefix("torch."),
        )
        return with_validation(data, loaded.validation)


def signals_to_rows(path: Path, name: str, signals: Tensor) -> Tensor:
    """Signals (N, L) or (N, C, L) as (N, C, 1, L); InputError if they are none, or for values that are not finite."""
    if signals.dtype not in (torch.uint8, torch.float32) or signals.ndim not in (2, 3) or 0 in signals.shape[1:]:
        raise InputError(
            f"'{name}' in {path} must be uint8 or float32 of shape (N, L) or (N, C, L), but they are "
            f"{describe(signals)}."
        )
    wrong = (~signals.isfinite()).flatten(1).any(1).nonzero()
    if len(wrong):
        raise InputError(
            f"'{name}' in {path} hold NaN or infinity in {len(wrong):,} of {len(signals):,} signals, the first of them "
            f"number {int(wrong[0])}; leave these out, or fill their gaps."
        )
    return (signals[:, None] if signals.ndim == 2 else signals).unsqueeze(2).contiguous()
