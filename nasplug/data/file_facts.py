"""What image files hold before they are scaled to one size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import numpy.typing as npt

from nasplug.data.decoding import THREADS, read_header
from nasplug.parts import EncodedImage

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@attrs.frozen(eq=False)
class FileFacts:
    """The headers of many image files."""

    formats: Mapping[str, int]
    """Files by format, the most frequent first."""
    modes: Mapping[str, int]
    """Files by mode."""
    widths: npt.NDArray[np.int64]
    """Of the upright images, (N,), in pixels."""
    heights: npt.NDArray[np.int64]

    @classmethod
    def read(cls, files: Sequence[EncodedImage]) -> FileFacts:
        """Those of these files, which are opened but not decoded."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="nasplug-header") as pool:
            headers = list(pool.map(read_header, files))
        return cls(
            formats=dict(Counter(header.format for header in headers).most_common()),
            modes=dict(Counter(header.mode for header in headers).most_common()),
            widths=np.array([header.width for header in headers], np.int64),
            heights=np.array([header.height for header in headers], np.int64),
        )

    @property
    def shorter_sides(self) -> npt.NDArray[np.int64]:
        """What is scaled to the size of the data set."""
        return np.minimum(self.widths, self.heights)


def quantiles(values: npt.NDArray[np.int64]) -> list[int]:
    """The values at QUANTILES, each of them one that occurs."""
    return [int(value) for value in np.quantile(values, QUANTILES, method="nearest")]
