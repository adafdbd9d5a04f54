"""The kinds of plugin package that can be generated, and the files of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

ATTRS, NUMPY, TORCH = "attrs>=24.2", "numpy>=1.26", "torch>=2.11"


@attrs.frozen
class Kind:
    """One kind of package. Templates are named by their path below `templates`, without the suffix .tmpl."""

    name: str
    summary: str
    """What the plugin is, in one sentence for `nasplug list` and the package's description."""
    modules: Mapping[str, str]
    """The template of each module besides `__init__.py`, by the module's name."""
    tests: Mapping[str, str]
    """The template of each test file, by its name."""
    about: str
    """The template of its description in the README."""
    target: str
    """The module and object that `hooks.py` registers, as "module:Object"; empty if the kind is no single part."""
    run: str
    """The arguments of `nasplug run` that try it; may contain @@short."""
    requires: tuple[str, ...] = (ATTRS, TORCH)
    """The requirements of the package besides nasplug."""
    slots: tuple[str, ...] = ()
    """The slots in which the plugin registers its short name."""


def _part(slot: str, module: str, target: str, run: str, summary: str, *, more: tuple[str, ...] = ()) -> Kind:
    """A kind of plugin that registers one class; its templates are in the folder named like the slot."""
    return Kind(
        name=slot,
        summary=summary,
        modules={"hooks": "package/hooks.py", **{name: f"{slot}/{name}.py" for name in (module, *more)}},
        tests={f"test_{module}": f"{slot}/test_{module}.py"},
        about=f"{slot}/about.md",
        target=f"{module}:{target}",
        run=run,
        slots=(slot,),
    )


_METHOD = Kind(
    name="method",
    summary="One-level differentiable search with an annealed softmax.",
    modules={"hooks": "method/hooks.py", "method": "method/method.py", "annealed": "optimizer/annealed.py"},
    tests={"test_method": "method/test_method.py", "test_annealed": "optimizer/test_annealed.py"},
    about="method/about.md",
    target="method:METHOD",
    run="--method @@short --preset tiny",
    slots=("method", "optimizer"),
)
_OBSERVER = Kind(
    name="observer",
    summary="Writes a table of every search into its run folder.",
    modules={"hooks": "observer/hooks.py", "table": "observer/table.py"},
    tests={"test_table": "observer/test_table.py"},
    about="observer/about.md",
    target="",
    run="--method darts --preset tiny",
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
            _part(
                "optimizer",
                "annealed",
                "Annealed",
                "--method darts --optimizer @@short --preset tiny",
                "One-level optimizer: updates weights and alpha together, with an annealed softmax.",
            ),
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
            _OBSERVER,
        )
    }
)
"""Every kind by its name, the default first."""
