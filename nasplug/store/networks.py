"""Networks of a run: which ones there are, and their weights on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from nasplug.compose import Composition
from nasplug.engine.finite import NonFinite, find_nonfinite
from nasplug.errors import InputError, quote, reason
from nasplug.parts import Network, SearchSpace
from nasplug.plugins import Plugins
from nasplug.plugins.program_objects import build_part, check_present
from nasplug.store.files import read_tensors, write_tensors
from nasplug.values import Budget, Costs, Genotype, ImageShape
from nasplug.values.options import build, option_values


@attrs.frozen
class PlannedNetwork:
    """One network that a run trains from scratch."""

    role: str
    """"found" or "random"."""
    genotype: Genotype
    size: Mapping[str, int | float | str]
    """The size of the network, as its space gives it."""
    costs: Costs
    """What it costs; as measured on this machine where a measure is."""
    matched_to: str | None = None
    """The found network whose size a random one has."""
    estimates: Mapping[str, float] = attrs.field(factory=dict)
    """By cost measure, what a cost in `costs` was estimated to be before it was measured."""
    measurements: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    """By cost measure, how a cost in `costs` was measured."""
    budget: Budget = attrs.field(factory=dict)
    """What it was selected to keep; empty: no limits."""

    @property
    def id(self) -> str:
        """Digest of genotype and size; a random network's also names what it is matched to."""
        return network_id(self.genotype, self.size, self.matched_to)

    @property
    def phase(self) -> str:
        """The phase that trains it."""
        return f"{'retrain' if self.role == 'found' else 'baseline'}/{self.id}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "role": self.role,
            "genotype": self.genotype.to_dict(),
            "size": dict(self.size),
            "params": self.costs.params,
            "macs": self.costs.macs,
            "costs": dict(self.costs),
            "matched_to": self.matched_to,
            "estimates": dict(self.estimates),
            "measurements": {name: dict(details) for name, details in self.measurements.items()},
            "budget": dict(self.budget),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlannedNetwork:
        """Reads what `to_dict` wrote. Raises KeyError, TypeError or InputError if it is anything else."""
        numbers = (data["params"], data["macs"])
        if data["role"] not in ("found", "random") or not all(type(n) is int and n >= 0 for n in numbers):
            raise TypeError(f"role {quote(data['role'])}, params {quote(numbers[0])}, MACs {quote(numbers[1])}")
        return cls(
            role=data["role"],
            genotype=Genotype.from_dict(data["genotype"]),
            size=data["size"],
            costs=Costs({"params": data["params"], "macs": data["macs"], **data.get("costs", {})}),
            matched_to=data["matched_to"],
            **{name: data[name] for name in ("estimates", "measurements", "budget") if name in data},
        )


def network_id(genotype: Genotype, size: Mapping[str, int | float | str], matched_to: str | None) -> str:
    """Twelve hexadecimal digits: the digest of a genotype, a size and, of a random network, what it is matched to."""
    key = json.dumps([genotype.to_json(), sorted(size.items()), matched_to])
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def space_of(plugins: Plugins, name: str, options: Mapping[str, Any], run: Path) -> SearchSpace:
    """The search space `name` with `options`, as a file of the run folder `run` records it.

    Raises InputError if no plugin registers it.
    """
    check_present(plugins, {"space": name}, f"nasplug.load('{run}', {{}}) opens its networks")
    space: SearchSpace = build_part(plugins, "space", name, options)
    return space


def resize_space(space: SearchSpace, size: Mapping[str, int | float | str]) -> SearchSpace:
    """The space with networks of a recorded size."""
    return build(type(space), option_values(space) | dict(size), f"space {space.name}")


def save_network(
    path: Path,
    net: Network,
    composition: Composition,
    plan: PlannedNetwork,
    preprocessing: Mapping[str, Any],
    statistics_images: int = 0,
) -> None:
    """Writes the weights of a trained network, as shipped, with all that is needed to build and feed it again.

    `statistics_images` is the number of training images on which the statistics of its batch norms were measured; 0:
    they are running averages. Raises NonFinite, and writes nothing, if a weight or a statistic is NaN or infinite.
    """
    if broken := find_nonfinite(net.state_dict()):
        raise NonFinite(f"'{broken}' holds NaN or infinity.")
    part = composition.recipe.parts["space"]
    facts = {
        "schema": 1,
        "space": {"part": part.name, "options": part.plain | dict(plan.size)},
        "genotype": plan.genotype.to_dict(),
        "data": dict(preprocessing),
        "statistics_images": statistics_images,
    }
    write_tensors(path, net.state_dict(), facts)


def load_network(path: Path, plugins: Plugins) -> tuple[Network, dict[str, Any]]:
    """A network with its weights, in eval mode on the CPU, and the facts recorded with it.

    Raises InputError if the file is missing, damaged or no network of an installed space, or if a weight is not finite.
    """
    tensors, facts = read_tensors(path, "network")
    if broken := find_nonfinite(tensors):
        raise InputError(
            f"The network at '{path}' is of no use: '{broken}' holds NaN or infinity, so its training had diverged; "
            f"train it again with a lower learning rate (retrain.lr), or name another network."
        )
    try:
        space = space_of(plugins, facts["space"]["part"], facts["space"]["options"], _run_of(path))
        data = facts["data"]
        net = space.network(Genotype.from_dict(facts["genotype"]), _shape(data))
        net.load_state_dict(tensors)
        _ = torch.tensor([data["mean"], data["std"]])  # `predict` needs them
    except (AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            f"The network at {quote(path)} does not fit its own description ({reason(error)}); restore it, or train it "
            f"again."
        ) from error
    return net.eval(), facts


def _shape(data: Mapping[str, Any]) -> ImageShape:
    """The recorded shape of images and classes; TypeError if it is invalid, as for other recorded values."""
    try:
        return ImageShape(channels=data["channels"], size=data["size"], classes=len(data["classes"]))
    except InputError as error:
        raise TypeError(str(error)) from error


def _run_of(weights: Path) -> Path:
    """The run folder that a weights file lies in, if it lies in one."""
    return next((folder for folder in weights.parents if (folder / "recipe.toml").is_file()), Path("RUN"))


def strip_auxiliary_head(net: Network, space: SearchSpace, genotype: Genotype, shape: ImageShape) -> Network:
    """The same network without its auxiliary head, on the CPU."""
    plain = space.network(genotype, shape)
    state = net.state_dict()
    with torch.no_grad():
        plain.load_state_dict({name: state[name].cpu() for name in plain.state_dict()})
    return plain.eval()
