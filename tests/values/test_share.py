from __future__ import annotations

import pytest

from nasplug.values.share import Share


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize(("images", "parts"), [(7, 1), (8, 1), (12, 2), (64, 4)])
def test_shares_divide_a_batch_into_almost_equal_parts(count, images, parts):
    shares = [Share(rank, count).rows(images, parts) for rank in range(count)]
    assert sorted(row for rows in shares for row in rows) == list(range(images))
    assert max(map(len, shares)) - min(map(len, shares)) <= parts
    assert all(len(rows) == parts * Share(rank, count).size(images // parts) for rank, rows in enumerate(shares))


def test_a_share_has_as_much_of_every_part():
    assert Share(0, 2).rows(10, 2) == [0, 1, 2, 5, 6, 7]
    assert Share(1, 2).rows(10, 2) == [3, 4, 8, 9]
