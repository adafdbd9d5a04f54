"""The kinds of plugin package that can be generated, and the files of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

ATTRS, NUMPY, TORCH = "attrs>=24.2", "numpy>=1.26", "torch>=2.11"


@attrs.frozen
class Registered:
    """Something that a package registers under its short name."""

    slot: str
    target: str
    """The module of the package and the object in it, as "module:Object"."""
    summary: str
    """One sentence for `nasplug list`."""


@attrs.frozen
class Kind:
    """One kind of package, or several in one (`combine`).

    Templates are named by their path below `templates`, without the suffix .tmpl.
    """

    names: tuple[str, ...]
    """The kinds in it, each of which `nasplug new plugin --kind` takes."""
    summary: str
    """What the plugin is, in one sentence for the package's description."""
    modules: Mapping[str, str]
    """The template of each module besides `__init__.py` and `hooks.py`, by the module's name."""
    tests: Mapping[str, str]
    """The template of each test file, by its name."""
    abouts: tuple[str, ...]
    """The templates of its description in the README, one after the other."""
    runs: tuple[str, ...]
    """The arguments of each `nasplug run` that tries it; may contain @@short."""
    registers: tuple[Registered, ...] = ()
    """What the package registers. A kind of which there is nothing to register observes runs."""
    observer: str = ""
    """The module with the function `write_row`, if the package observes runs."""
    requires: tuple[str, ...] = (ATTRS, TORCH)
    """The requirements of the package besides nasplug."""

    @property
    def name(self) -> str:
        """All names, as in a sentence."""
        *first, last = self.names
        return f"{', '.join(first)} and {last}" if first else last

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots in which the plugin registers its short name."""
        return tuple(one.slot for one in self.registers)


def _part(slot: str, module: str, target: str, run: str, summary: str, *, more: tuple[str, ...] = ()) -> Kind:
    """A kind of plugin that registers one class; its templates are in the folder named like the slot."""
    return Kind(
        names=(slot,),
        summary=summary,
        modules={name: f"{slot}/{name}.py" for name in (module, *more)},
        tests={f"test_{module}": f"{slot}/test_{module}.py"},
        abouts=(f"{slot}/about.md",),
        runs=(run,),
        registers=(Registered(slot, f"{module}:{target}", summary),),
    )


_OPTIMIZER = _part(
    "optimizer",
    "annealed",
    "Annealed",
    "--method darts --optimizer @@short --preset tiny",
    "One-level optimizer: updates weights and alpha together, with an annealed softmax.",
)
_METHOD_SUMMARY = "One-level differentiable search with an annealed softmax."
_METHOD = Kind(
    names=("method",),
    summary=_METHOD_SUMMARY,
    modules={"method": "method/method.py", **_OPTIMIZER.modules},
    tests={"test_method": "method/test_method.py", **_OPTIMIZER.tests},
    abouts=("method/about.md",),
    runs=("--method @@short --preset tiny",),
    registers=(*_OPTIMIZER.registers, Registered("method", "method:METHOD", _METHOD_SUMMARY)),
)
_OBSERVER = Kind(
    names=("observer",),
    summary="Writes a table of every search into its run folder.",
    modules={"table": "observer/table.py"},
    tests={"test_table": "observer/test_table.py"},
    abouts=("observer/about.md",),
    runs=("--method darts --preset tiny",),
    observer="table",
    requires=(),
)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _METHOD,
            _part(
                "space",
                "chain",
                "Chain",
                "--method darts --space @@short --preset tiny",
                "A chain of layers with a choice of operation in each.",
                more=("layers",),
            ),
            _OPTIMIZER,
            _part(
                "schedule",
                "weakest",
                "Weakest",
                "--space darts --method darts --schedule @@short --preset tiny",
                "Deletes the weakest candidates of every choice at the end of each epoch.",
            ),
            _part(
                "teacher",
                "average",
                "MovingAverage",
                "--method darts --teacher @@short --preset tiny",
                "The supernet learns from a moving average of its own weights.",
            ),
            attrs.evolve(
                _part(
                    "selector",
                    "evolution",
                    "Evolution",
                    "--method darts --optimizer single-path --selector @@short --preset tiny",
                    "Architectures evolve by mutation, each evaluated with the weights of the supernet.",
                ),
                requires=(ATTRS,),
            ),
            attrs.evolve(
                _part(
                    "dataset",
                    "shapes",
                    "Shapes",
                    "--method darts --data @@short --preset tiny",
                    "Grey images of simple shapes, generated from a seed.",
                ),
                requires=(ATTRS, NUMPY, TORCH),
            ),
            _part(
                "cost",
                "energy",
                "Energy",
                "--method darts --preset tiny",
                "Energy for one image, from joules per multiply-accumulate and per byte that is moved.",
            ),
            _part(
                "reference",
                "tower",
                "Tower",
                "--method darts --preset tiny --set select.references=@@short",
                "A tower of 3x3 convolutions, to compare found networks with at equal cost.",
            ),
            attrs.evolve(
                _part(
                    "executor",
                    "gentle",
                    "Gentle",
                    "--method darts --preset tiny --executor @@short --jobs 2",
                    "Trainings in processes of low priority, for a machine that others use, too.",
                ),
                requires=(ATTRS,),
            ),
            _OBSERVER,
        )
    }
)
"""Every kind by its name, the default first."""
