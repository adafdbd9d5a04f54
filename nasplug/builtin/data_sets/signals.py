"""Signals, of one dimension, that another program has prepared as arrays in one file, safetensors or npz."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs
from torch import Tensor

from nasplug.data.array_files import load_arrays
from nasplug.data.images import with_validation
from nasplug.data.signal_rows import signals_to_rows
from nasplug.data.targets import note_one_label
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
        loaded = load_arrays(location, "signals", "signals", _convert)
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


def _convert(path: Path, name: str, signals: Tensor) -> Tensor:
    return signals_to_rows(signals, f"'{name}' in {path}")
