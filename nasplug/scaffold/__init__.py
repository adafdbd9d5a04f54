"""Writes plugin packages to start from: each kind works as it is, is tested, and keeps the contract of its part."""

from __future__ import annotations

from nasplug.scaffold.kinds import KINDS, Kind
from nasplug.scaffold.licences import LICENCES
from nasplug.scaffold.names import Names
from nasplug.scaffold.package import package_files, refuse_taken
from nasplug.scaffold.writing import new_folder, write_package

__all__ = ["KINDS", "LICENCES", "Kind", "Names", "new_folder", "package_files", "refuse_taken", "write_package"]
