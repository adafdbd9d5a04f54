"""Weights of networks of libraries: nothing but tensors is read, and nothing but those of the very network is taken."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from nasplug.engine.finite import find_nonfinite
from nasplug.errors import InputError, quote

TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""The environment variable by which torch.load is told so."""
SHOWN = 3
"""Tensors that a message names, at most."""


def fit_weights(
    state: Mapping[str, Any], own: Mapping[str, Tensor], classifier: Collection[str], source: str, network: str
) -> dict[str, Tensor]:
    """The tensors of the state dict `state` for a network with the state dict `own`.

    Those in `classifier`, names of `own`, may be missing or of other classes. The weights of a first convolution over
    three colours are summed where the network reads one channel: it then sees that as equal colours. `source` and
    `network` are what messages call them. Raises InputError for weights of another network, and for NaN and infinity.
    """
    state = {name: _sum_colours(value, own.get(name)) for name, value in state.items()}
    fitting = {name: state[name] for name in own if name in state and _fits(state[name], own[name])}
    if differences := _find_differences(own, state, fitting, classifier):
        raise InputError(
            f"The weights {source} are not of the network {network} ({differences}); name a file of its weights, with "
            f"the names that the library gives them."
        )
    if broken := find_nonfinite(fitting):
        raise InputError(
            f"The weights {source} hold NaN or infinity in {quote(broken)}; name a file of a network whose training "
            f"has not diverged."
        )
    return fitting


@contextmanager
def tensors_only() -> Iterator[None]:
    """Inside the block torch.load reads nothing but tensors, whatever a library asks of it: code is never run."""
    before = os.environ.get(TENSORS_ONLY)
    os.environ[TENSORS_ONLY] = "1"
    try:
        yield
    finally:
        os.environ.pop(TENSORS_ONLY)
        if before is not None:
            os.environ[TENSORS_ONLY] = before


def _fits(value: Any, present: Tensor) -> bool:
    is_tensor = isinstance(value, Tensor) and value.layout is present.layout and value.shape == present.shape
    return is_tensor and value.is_floating_point() is present.is_floating_point() and not value.is_complex()


def _sum_colours(value: Any, present: Tensor | None) -> Any:
    """The weights of a convolution over three colours as one over a single channel, where that is `present`."""
    if isinstance(value, Tensor) and present is not None and value.dim() == present.dim() == 4:
        colours, channels = value.shape[1], present.shape[1]
        return value.sum(1, keepdim=True) if (colours, channels) == (3, 1) else value
    return value


def _find_differences(
    own: Mapping[str, Tensor], state: Mapping[str, Any], fitting: Mapping[str, Tensor], classifier: Collection[str]
) -> str:
    """In which tensors the weights in `state` are of another network than `own`, in words; empty: in none.

    Those of the classifier, and what else is in its modules, may differ; counts of batches may be missing.
    """
    modules = tuple(f"{name.rpartition('.')[0]}." for name in classifier)
    needed = [name for name in own if name not in fitting and name not in classifier]
    missing = [name for name in needed if name not in state and not name.endswith("num_batches_tracked")]
    others = [name for name in needed if name in state]
    foreign = [
        name
        for name, value in state.items()
        if isinstance(value, Tensor) and name not in own and not name.startswith(modules)
    ]
    found = {"missing: ": missing, "of another form: ": others, "it also holds ": foreign}
    return next((f"{words}{_list_names(names)}" for words, names in found.items() if names), "")


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
