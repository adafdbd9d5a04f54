"""The licences to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LICENCES: Mapping[str, str] = MappingProxyType(
    {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause"}
)
"""Names on the command line, and SPDX identifiers."""
