"""The pages on the modules that plugins and programs import."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import nasplug
import nasplug.spaces.darts as darts_supernet
import nasplug.supernets as supernets
from nasplug import data, errors, hookspecs, optimizers, parts, plugins, spaces, values
from nasplug.api.python_api import Search
from nasplug.results.result import Result, TrainedNetwork
from reference_writers.api import entries, entry
from reference_writers.markdown import code, text
from reference_writers.signatures import signature

HOOKS_HEAD = """# Hooks

A plugin is a module that an entry point of the group `nasplug` names. It has one or more of the functions below,
each marked with `nasplug.hookspecs.hookimpl`. A hook may leave out parameters that it does not need; it may not give
any a default.

```python
from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    register.schedule("mine", "my_package.schedule:Mine", summary="Deletes the weakest operation of each epoch.")
```
"""
PYTHON_HEAD = """# Python

The functions that programs and notebooks call. Importing `nasplug` does not import torch; calling these functions does.
"""
PARTS_HEAD = """# Parts: `nasplug.parts`

The four abstract classes, what is passed between them, and what they are built from. A part is an attrs class: fields
that `option` declares are its options, fields with `init=False` its state, which every checkpoint holds. [The
loop](../explanation/the-loop.md) shows when each method is called.
"""
VALUES_HEAD = """# Values and errors: `nasplug.values`, `nasplug.errors`

Immutable values that are passed between parts. None of these modules imports torch.
"""
SUPERNETS: list[str] = vars(supernets)["__all__"]
SUPERNETS_HEAD = "# Building supernets: `nasplug.supernets`\n"
FOUNDATIONS_HEAD = """# Built-in parts to derive from: `nasplug.spaces`, `nasplug.optimizers`

What these names mean stays the same within a minor version; what else is in the modules behind them may change.
[How to derive from them](../how-to/derive-from-a-built-in.md).
"""
DATA_HEAD = "# From images to batches: `nasplug.data`\n"
RETURNED = (Search, Result, TrainedNetwork)
"""Classes that the functions of `nasplug` return."""
FIRST = ("SearchSpace", "ArchitectureOptimizer", "PruningSchedule", "DistillationTeacher", "DataSource", "option")
"""The first entries of the page on parts."""


def hooks() -> Iterator[str]:
    """The hooks, their marker, and the register."""
    yield HOOKS_HEAD
    for name, hook in vars(hookspecs).items():
        if name.startswith("nasplug_"):
            yield f"\n## {code(signature(hook, name))}\n"
            yield text(hook.__doc__)
    for name in ("Register", "Registration"):
        yield from entry(getattr(plugins, name), name)


def python() -> Iterator[str]:
    """What `nasplug` has, and the classes that its functions return."""
    yield PYTHON_HEAD
    for name in nasplug.__all__:
        function = getattr(nasplug, name)
        if inspect.isfunction(function) or inspect.isclass(function):
            yield from entry(function, f"nasplug.{name}")
    for cls in RETURNED:
        yield from entry(cls, cls.__name__, constructed=False)


def parts_page() -> Iterator[str]:
    """The module `nasplug.parts`."""
    yield PARTS_HEAD
    yield from entries(parts, [*FIRST, *(name for name in parts.__all__ if name not in FIRST)])


def values_page() -> Iterator[str]:
    """The modules `nasplug.values` and `nasplug.errors`."""
    yield VALUES_HEAD
    yield from entries(values, values.__all__)
    own = [name for name, value in vars(errors).items() if getattr(value, "__module__", "") == errors.__name__]
    yield from entries(errors, [name for name in own if not name.startswith("_")])


def supernets_page() -> Iterator[str]:
    """The module `nasplug.supernets`."""
    yield SUPERNETS_HEAD
    yield text(supernets.__doc__)
    yield from entries(supernets, SUPERNETS)


def foundations() -> Iterator[str]:
    """The modules `nasplug.spaces`, `nasplug.spaces.darts` and `nasplug.optimizers`."""
    yield FOUNDATIONS_HEAD
    shown = set[str]()
    for module in (spaces, darts_supernet, optimizers):
        yield f"\n## Module {code(module.__name__)}\n"
        yield text(module.__doc__)
        yield from entries(module, [name for name in module.__all__ if name not in shown])
        shown |= set(module.__all__)


def data_page() -> Iterator[str]:
    """The module `nasplug.data`."""
    yield DATA_HEAD
    yield text(data.__doc__)
    yield from entries(data, data.__all__)
