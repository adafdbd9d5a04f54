"""Steps made ahead of the host, and replayed on a GPU as CUDA graphs."""

from __future__ import annotations
