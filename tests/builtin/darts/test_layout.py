from __future__ import annotations

import pytest

from nasplug.builtin.darts.layout import block_of, reduction_cells, resolve_stem, tap_cells


def test_reductions_are_at_the_thirds_and_never_the_first_cell():
    assert [sorted(reduction_cells(cells)) for cells in (1, 2, 3, 8, 14, 20)] == [
        [],
        [1],
        [1, 2],
        [2, 5],
        [4, 9],
        [6, 13],
    ]
    assert [tap_cells(cells) for cells in (1, 2, 3, 8)] == [(0,), (0, 1), (0, 1, 2), (1, 4, 7)]


@pytest.mark.parametrize("cells", [1, 2, 3, 8, 20])
def test_blocks_end_at_taps(cells):
    blocks = [block_of(cell, cells) for cell in range(cells)]
    assert [cell for cell in range(cells) if cell == cells - 1 or blocks[cell + 1] > blocks[cell]] == list(
        tap_cells(cells)
    )


def test_the_stem_for_imagenet_is_chosen_from_64_pixels_on():
    assert [resolve_stem("auto", size) for size in (8, 63, 64, 224)] == ["cifar", "cifar", "imagenet", "imagenet"]
    assert resolve_stem("cifar", 224) == "cifar"
