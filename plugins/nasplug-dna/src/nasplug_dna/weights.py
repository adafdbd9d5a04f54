"""Weights of networks from files: how they are read, named, checked against the network, and loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nasplug.errors import InputError
from nasplug.parts import read_weights
from nasplug_dna.timm_networks import TENSORFLOW, TIMM_EPS, has_timm_names, rename_weights, set_eps


def load_weights(network: nn.Module, name: str, needed: Collection[str], path: Path) -> None:
    """Loads weights from a file into a network that may be on the meta device; only those `needed` must be there.

    Raises InputError if one of these is missing, has another shape or is not finite, and if the file has tensors that
    the network lacks in a module that is needed: it is then the file of another network, a deeper one for instance.
    """
    check_file(path)
    state = _as_torchvision_names(read_weights(path), network, name, path)
    own = network.state_dict()
    try:
        if foreign := _find_foreign(network, needed, state):
            raise RuntimeError(f"it also holds {_list(foreign)}")
        kept = OrderedDict((key, _as_type_of(own[key], state[key])) for key in needed if key in state and key in own)
        missing = [key for key in network.load_state_dict(kept, strict=False, assign=True)[0] if key in needed]
        if missing:
            raise RuntimeError(f"missing: {_list(missing)}")
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"The weights '{path}' do not fit '{name}' ({reason:.200}); name a file of that network, or another "
            f"network as teacher.model."
        ) from error
    if broken := [key for key, value in kept.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise InputError(
            f"The weights '{path}' hold values that are not finite ({_list(broken)}); name a file of a network whose "
            f"training did not diverge."
        )


def _as_torchvision_names(state: Mapping[str, Any], network: nn.Module, name: str, path: Path) -> Mapping[str, Any]:
    """The state dict under the names of torchvision; sets what is computed otherwise where the weights are timm's."""
    family, from_tensorflow = TENSORFLOW.get(name, name), name in TENSORFLOW
    if not has_timm_names(state):
        if from_tensorflow:
            raise InputError(
                f"The teacher '{name}' is a network of timm, but the file '{path}' does not name its tensors as timm "
                f"does; name a file of timm, or set teacher.model={family} for weights of torchvision."
            )
        return state
    if not family.startswith("efficientnet_"):
        raise InputError(
            f"The file '{path}' names its tensors as timm does, which is understood for EfficientNet only, but the "
            f"teacher is '{name}'; name a file of torchvision's '{name}'."
        )
    if path.name.startswith("tf_") and not from_tensorflow:
        timms = next(timms for timms, torchvisions in TENSORFLOW.items() if torchvisions == name)
        raise InputError(
            f"The weights '{path.name}' were trained in TensorFlow, which pads otherwise than '{name}' does; set "
            f"teacher.model={timms}."
        )
    if not from_tensorflow:
        set_eps(network, TIMM_EPS)
    return rename_weights(state, len(network.get_submodule("features")))  # type: ignore[arg-type]


def _find_foreign(network: nn.Module, needed: Collection[str], state: Mapping[str, Any]) -> list[str]:
    """The tensors that the network lacks, though the innermost module that it has of their path holds needed ones."""
    own, modules = network.state_dict().keys(), {name for name, _ in network.named_modules()}
    used = {holder for key in needed for holder in _holders(key)}
    return [
        key
        for key, value in state.items()
        if isinstance(value, Tensor)
        and key not in own
        and next(holder for holder in _holders(key) if holder in modules) in used
    ]


def _holders(key: str) -> list[str]:
    """The paths of the modules that would hold a tensor, from the innermost to the network itself, which is ""."""
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, -1, -1)]


def _list(keys: Collection[str]) -> str:
    """The first three of some keys, in words."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(list(keys)[:3]) + more


def _as_type_of(own: Tensor, saved: Any) -> Any:
    """A saved weight in the precision of the network's own; TypeError if it is of another kind of number."""
    if not isinstance(saved, Tensor):
        return saved
    if saved.layout is not own.layout or saved.is_floating_point() is not own.is_floating_point():
        raise TypeError(f"it holds {saved.dtype} ({saved.layout}) where {own.dtype} belongs")
    return saved.to(own.dtype)


def check_file(path: Path) -> None:
    """Raises InputError if there is no such file."""
    if not path.is_file():
        raise InputError(
            f"There is no file of weights '{path}' for the teacher; download it from torchvision or timm beforehand "
            f"and name it: --set teacher.weights=FILE."
        )
