"""The kinds of plugin to start from, and what sets their packages apart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

ATTRS, NUMPY, TORCH = "attrs>=24.2", "numpy>=1.26", "torch>=2.11"


@attrs.frozen
class Kind:
    """One kind. Templates are named by their path below `templates`, without the ending."""

    name: str
    summary: str
    """What the plugin is, in one sentence that fits `nasplug list` and the package's description."""
    modules: Mapping[str, str]
    """The template of each module besides `__init__.py`, by the module's name."""
    tests: Mapping[str, str]
    """The template of each test file, by its name."""
    about: str
    """The words on it in the README, a template."""
    target: str
    """The module and the object that `hooks.py` registers, as "module:Object"; empty if it is no part."""
    run: str
    """What `nasplug run` takes to try it; a template text."""
    requires: tuple[str, ...] = (ATTRS, TORCH)
    """What the package imports, besides nasplug."""
    slots: tuple[str, ...] = ()
    """The slots in which it registers its short name."""


def _part(slot: str, module: str, target: str, run: str, summary: str, *, more: tuple[str, ...] = ()) -> Kind:
    """The kind of plugin that registers one class, from the folder of templates that is named like its slot."""
    return Kind(
        name=slot,
        summary=summary,
        modules={"hooks": "package/hooks.py", **{each: f"{slot}/{each}.py" for each in (module, *more)}},
        tests={f"test_{module}": f"{slot}/test_{module}.py"},
        about=f"{slot}/about.md",
        target=f"{module}:{target}",
        run=run,
        slots=(slot,),
    )


_METHOD = Kind(
    name="method",
    summary="One-level differentiable search under a softmax that grows sharper.",
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
                "Weights and alpha learn together, under a softmax that grows sharper.",
            ),
            _part(
                "schedule",
                "weakest",
                "Weakest",
                "--space darts --method darts --schedule @@short --preset tiny",
                "Drops the weakest candidates of every choice, epoch by epoch.",
            ),
            _part(
                "teacher",
                "average",
                "MovingAverage",
                "--method darts --teacher @@short --preset tiny",
                "The supernet learns from the moving average of its own weights.",
            ),
            attrs.evolve(
                _part(
                    "dataset",
                    "shapes",
                    "Shapes",
                    "--method darts --data @@short --preset tiny",
                    "Grey images of simple shapes, drawn from a seed.",
                ),
                requires=(ATTRS, NUMPY, TORCH),
            ),
            _OBSERVER,
        )
    }
)
"""Every kind by its name, the default first."""
