"""Saving a phase so that it goes on exactly where it stood."""

from __future__ import annotations

from nasplug.checkpoint.files import read_tensors, write_atomically, write_tensors
from nasplug.checkpoint.snapshot import load_checkpoint, save_checkpoint

__all__ = ["load_checkpoint", "read_tensors", "save_checkpoint", "write_atomically", "write_tensors"]
