"""The built-in architecture optimizers, to derive from and to wrap.

`Bilevel` and `OneLevel` learn alpha by gradient, `SinglePath` trains the weights of one random path at a time, and
`RandomSearch` trains no supernet. A derived class that overrides `relax` has to set `static_graph` again.
"""

from __future__ import annotations

from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.builtin.optimizers.random_search import RandomSearch
from nasplug.builtin.optimizers.single_path import SinglePath

__all__ = ["Bilevel", "OneLevel", "RandomSearch", "SinglePath"]
