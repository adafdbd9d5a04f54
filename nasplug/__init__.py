"""Plugin-based neural architecture search: small trained networks for your images.

>>> import nasplug
>>> net = nasplug.load("runs/001").best(max_params=50_000).network()   # doctest: +SKIP

Importing nasplug never imports torch; `load` and `supernet` do when they are called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.parts import Supernet
    from nasplug.phases import Result

__version__ = "0.1.0"
__all__ = ["__version__", "load", "supernet"]


def load(run: str | Path) -> Result:
    """The result of a run folder: `load(run).best(max_params=...)` is a trained network.

    Raises nasplug.errors.InputError if `run` is no run folder.
    """
    from nasplug.phases import load as load_run

    return load_run(run)


def supernet(space: str, *, classes: int = 10, size: int = 32, image_channels: int = 3, **options: Any) -> Supernet:
    """The bare supernet of a search space, as an `nn.Module`: `forward(images)` and `choices`.

    `options` are those of the space (`nasplug show darts`). Raises nasplug.errors.InputError for unknown ones.
    """
    from nasplug.plugins import load_plugins
    from nasplug.values import ImageShape
    from nasplug.values.options import build

    plugins = load_plugins()
    built = build(plugins.resolve(plugins.find("space", space)), options, f"space {space}")
    net: Supernet = built.supernet(ImageShape(channels=image_channels, size=size, classes=classes))
    return net
