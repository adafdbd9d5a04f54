"""Randomness as a function of names: no stream of random numbers depends on when another one was read."""

from __future__ import annotations

import hashlib


def derive_seed(*words: object) -> int:
    """A seed of 63 bits that depends on every word, and on nothing else."""
    text = "\x1f".join(map(str, words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
