"""Generates plugin packages: each kind works unchanged, has tests, and passes the contract checks of its part."""

from __future__ import annotations

from nasplug.scaffold.combination import combine
from nasplug.scaffold.folder import new_folder, write_package
from nasplug.scaffold.kinds import KINDS, Kind
from nasplug.scaffold.licences import LICENCES
from nasplug.scaffold.names import Names
from nasplug.scaffold.package import package_files, refuse_taken

__all__ = [
    "KINDS",
    "LICENCES",
    "Kind",
    "Names",
    "combine",
    "new_folder",
    "package_files",
    "refuse_taken",
    "write_package",
]
