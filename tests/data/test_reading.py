from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from nasplug.data import MemoryImages, reading
from nasplug.data.reading import UnreadableImages, list_some, read_in_chunks
from nasplug.parts import Images

PIXELS = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)


class PartlyBroken(Images):
    """Images of which those whose number is divisible by four cannot be read."""

    labels = np.zeros(10, np.int64)

    def read(self, indices):
        broken = [(f"{index}.png", "damaged") for index in indices if index % 4 == 0]
        if broken:
            raise UnreadableImages(broken)
        return PIXELS[list(indices)]


@pytest.mark.parametrize("chunk", [1, 3, 10, 100])
def test_images_come_in_the_order_of_their_indices(monkeypatch, chunk):
    monkeypatch.setattr(reading, "CHUNK", chunk)
    indices = np.array([7, 0, 3, 3, 9, 1, 2])
    chunks = list(read_in_chunks(MemoryImages(PIXELS, np.zeros(10, np.int64)), indices))
    assert torch.cat(chunks).flatten().tolist() == indices.tolist()
    assert list(read_in_chunks(MemoryImages(PIXELS, np.zeros(10, np.int64)), indices[:0])) == []


def test_everything_that_cannot_be_read_is_collected(monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 1)
    chunks = []
    with pytest.raises(UnreadableImages, match=r"3 image files cannot be read: 0\.png \(damaged\), 4\.png") as refused:
        chunks.extend(read_in_chunks(PartlyBroken(), np.arange(10)))
    assert [path for path, _ in refused.value.failures] == ["0.png", "4.png", "8.png"]
    again = copy.copy(refused.value)  # as it goes from a worker to the process that waits for it
    assert (str(again), again.failures) == (str(refused.value), refused.value.failures)


def test_long_lists_are_cut():
    assert list_some([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert list_some([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
