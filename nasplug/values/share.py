"""The part of a batch that one of several processes computes."""

from __future__ import annotations

import attrs


@attrs.frozen
class Share:
    """Which images of each batch belong to one of `count` processes; by default there is one, which has them all."""

    rank: int = 0
    """The number of the process, from 0."""
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it is all there is."""
        return self.count == 1

    def size(self, images: int) -> int:
        """How many of `images` images belong to it; sizes differ by one image at most."""
        return images // self.count + (self.rank < images % self.count)

    def rows(self, images: int, parts: int = 1) -> list[int]:
        """The numbers of its images in a batch of `images`, in order.

        Where a batch is divided into `parts` equal parts, one after the other, it has its share of each of them, so
        that all its shares are equally large.
        """
        part = images // parts
        start = sum(Share(rank, self.count).size(part) for rank in range(self.rank))
        return [first + number for first in range(0, images, part) for number in range(start, start + self.size(part))]


WHOLE = Share()
"""That of the only process."""
