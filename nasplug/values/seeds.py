"""Seeds derived from words, so that no stream of random numbers depends on when another one was used."""

from __future__ import annotations

import hashlib


def derive_seed(*words: object) -> int:
    """A seed of 63 bits, a function of the words alone: `derive_seed(run_seed, "search", "order", epoch)`."""
    text = "\x1f".join(map(str, words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
