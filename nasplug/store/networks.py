"""Networks of a run: which ones there are, and their weights on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import attrs
import torch

from nasplug.compose import Composition, build_reference, resize_space
from nasplug.engine.converted_input import ConvertedInput
from nasplug.engine.finite import NonFinite, find_nonfinite
from nasplug.errors import InputError, quote, reason
from nasplug.parts import Network, SearchSpace
from nasplug.parts.recorded_task import read_task
from nasplug.plugins import Plugins
from nasplug.plugins.program_objects import build_part, check_present
from nasplug.store.files import read_tensors, write_tensors
from nasplug.store.run_state import is_run
from nasplug.values import Budget, Costs, Genotype, ImageShape
from nasplug.values.shape import read_form

PHASES: Mapping[str, str] = {"found": "retrain", "random": "baseline", "reference": "reference"}
"""By role of a network, the first part of the name of the phase that trains it."""


@attrs.frozen
class PlannedNetwork:
    """One network that a run trains from scratch."""

    role: str
    """A key of PHASES: "found", "random" or "reference"."""
    genotype: Genotype | None
    """None for a reference network, which has none."""
    size: Mapping[str, int | float | str]
    """The size of the network, as its space or its reference network gives it."""
    costs: Costs
    """What it costs; as measured on this machine where a measure is."""
    matched_to: str | None = None
    """The found network whose size a random one has, or whose cost a reference network has."""
    reference: str | None = None
    """The name of a reference network as registered, with its location; None for others."""
    estimates: Mapping[str, float] = attrs.field(factory=dict)
    """By cost measure, what a cost in `costs` was estimated to be before it was measured."""
    measurements: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    """By cost measure, how a cost in `costs` was measured."""
    budget: Budget = attrs.field(factory=dict)
    """What it was selected to keep; empty: no limits."""
    changed: bool = False
    """Whether the search has not left this genotype, but one that was changed into it to keep the budget."""

    def __attrs_post_init__(self) -> None:
        is_reference = self.role == "reference"
        if self.role not in PHASES or (self.reference is not None, self.genotype is None) != (is_reference,) * 2:
            raise TypeError(f"role {quote(self.role)}, reference {quote(self.reference)}, {quote(self.genotype)}")

    @classmethod
    def found(cls, space: SearchSpace, genotype: Genotype, shape: ImageShape) -> Self:
        """The network of `genotype` at the size of `space`."""
        return cls(role="found", genotype=genotype, size=space.size(), costs=space.cost(genotype, shape))

    @property
    def id(self) -> str:
        """Digest of architecture and size, and of what a network is matched to."""
        return network_id(self.reference or cast("Genotype", self.genotype), self.size, self.matched_to)

    @property
    def phase(self) -> str:
        """The phase that trains it."""
        return f"{PHASES[self.role]}/{self.id}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "role": self.role,
            "genotype": None if self.genotype is None else self.genotype.to_dict(),
            "reference": self.reference,
            "size": dict(self.size),
            "params": self.costs.params,
            "macs": self.costs.macs,
            "costs": dict(self.costs),
            "matched_to": self.matched_to,
            "estimates": dict(self.estimates),
            "measurements": {name: dict(details) for name, details in self.measurements.items()},
            "budget": dict(self.budget),
            "changed": self.changed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlannedNetwork:
        """Reads what `to_dict` wrote. Raises KeyError, TypeError or InputError if it is anything else."""
        numbers = (data["params"], data["macs"])
        reference = data.get("reference")
        if not all(type(n) is int and n >= 0 for n in numbers) or not isinstance(reference, str | None):
            raise TypeError(f"params {quote(numbers[0])}, MACs {quote(numbers[1])}, reference {quote(reference)}")
        return cls(
            role=data["role"],
            genotype=None if data["genotype"] is None else Genotype.from_dict(data["genotype"]),
            size=data["size"],
            costs=Costs({"params": data["params"], "macs": data["macs"], **data.get("costs", {})}),
            matched_to=data["matched_to"],
            reference=reference,
            **{name: data[name] for name in ("estimates", "measurements", "budget", "changed") if name in data},
        )


def network_id(architecture: Genotype | str, size: Mapping[str, int | float | str], matched_to: str | None) -> str:
    """Twelve hexadecimal digits: the digest of an architecture, a size and what the network is matched to.

    The architecture is a genotype, or the name of a reference network.
    """
    text = architecture.to_json() if isinstance(architecture, Genotype) else architecture
    key = json.dumps([text, sorted(size.items()), matched_to])
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def space_of(plugins: Plugins, name: str, options: Mapping[str, Any], run: Path) -> SearchSpace:
    """The search space `name` with `options`, as a file of the run folder `run` records it.

    Raises InputError if no plugin registers it.
    """
    check_present(plugins, {"space": name}, f"nasplug.load('{run}', {{}}) opens its networks")
    space: SearchSpace = build_part(plugins, "space", name, options)
    return space


def build_network(
    plugins: Plugins, space: SearchSpace, plan: PlannedNetwork, shape: ImageShape, auxiliary: bool = False
) -> Network:
    """The network of a plan on the CPU, with initial weights from torch's global generator.

    `space` is that of the run, at any size. A reference network has no auxiliary head, whatever `auxiliary` says.
    """
    if plan.reference is not None:
        return build_reference(plugins, plan.reference, plan.size).network(shape)
    genotype = cast("Genotype", plan.genotype)  # a plan has one of the two
    return resize_space(space, plan.size).network(genotype, shape, auxiliary)


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
    facts = {"schema": 1, **_describe_architecture(composition, plan), "data": dict(preprocessing)}
    save_with_facts(path, net, {**facts, "statistics_images": statistics_images})


def save_pretrained(
    path: Path,
    net: Network,
    reference: str,
    size: Mapping[str, int | float | str],
    preprocessing: Mapping[str, Any],
    read: ImageShape,
) -> None:
    """The same for a reference network that has its weights from elsewhere, and reads images of its own shape `read`.

    `net` reads those of `read`; what is loaded again converts images that `preprocessing` describes. `reference` is the
    name of the network with its location, `size` what it says of its size.
    """
    input_shape = {"channels": read.channels, "size": read.size, "mean": list(read.mean), "std": list(read.std)}
    facts = {
        "schema": 1,
        "reference": {"part": reference, "options": dict(size), "input": input_shape},
        "data": dict(preprocessing),
        "statistics_images": 0,
    }
    save_with_facts(path, ConvertedInput(net, recorded_shape({"data": preprocessing}), read), facts)


def save_with_facts(path: Path, net: Network, facts: Mapping[str, Any]) -> None:
    """Writes the weights of a network with the facts that `load_network` has given with it.

    Raises NonFinite, and writes nothing, if a weight or a statistic is NaN or infinite.
    """
    if broken := find_nonfinite(net.state_dict()):
        raise NonFinite(f"'{broken}' holds NaN or infinity.")
    write_tensors(path, net.state_dict(), facts)


def _describe_architecture(composition: Composition, plan: PlannedNetwork) -> dict[str, Any]:
    """What `_rebuild` reads again."""
    if plan.genotype is None:
        return {"reference": {"part": plan.reference, "options": dict(plan.size)}}
    part = composition.recipe.parts["space"]
    return {
        "space": {"part": part.name, "options": part.plain | dict(plan.size)},
        "genotype": plan.genotype.to_dict(),
    }


def _rebuild(facts: Mapping[str, Any], plugins: Plugins, run: Path) -> Network:
    shape = recorded_shape(facts)
    if "reference" in facts:
        recorded = facts["reference"]
        reference = build_reference(plugins, recorded["part"], recorded["options"])
        if "input" not in recorded:
            return reference.network(shape)
        read = recorded_shape({"data": {**facts["data"], **recorded["input"]}})
        return ConvertedInput(reference.network(read), shape, read)
    space = space_of(plugins, facts["space"]["part"], facts["space"]["options"], run)
    return space.network(Genotype.from_dict(facts["genotype"]), shape)


def load_network(path: Path, plugins: Plugins) -> tuple[Network, dict[str, Any]]:
    """A network with its weights, in eval mode on the CPU, and the facts recorded with it.

    Raises InputError if the file is missing or damaged, if no plugin registers its space or reference network, or if a
    weight is not finite.
    """
    tensors, facts = read_tensors(path, "network")
    if broken := find_nonfinite(tensors):
        raise InputError(
            f"The network at '{path}' is of no use: '{broken}' holds NaN or infinity, so its training had diverged; "
            f"train it again with a lower learning rate (retrain.lr), or name another network."
        )
    try:
        net = _rebuild(facts, plugins, _run_of(path))
        net.load_state_dict(tensors)
        data = facts["data"]
        _ = torch.tensor([data["mean"], data["std"]]), read_task(data)  # `predict` needs them
    except InputError:  # says what is missing, and is a ValueError
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The network at {quote(path)} does not fit its own description ({reason(error)}); restore it, or train it "
            f"again."
        ) from error
    return net.eval(), facts


def recorded_shape(facts: Mapping[str, Any]) -> ImageShape:
    """The images and classes that a network is for; TypeError if they are invalid, as for other recorded values."""
    data = facts["data"]
    try:
        return ImageShape(
            channels=data["channels"],
            size=data["size"],
            classes=len(data["classes"]),
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
            dims=read_form(data)[0],
        )
    except InputError as error:
        raise TypeError(str(error)) from error


def _run_of(weights: Path) -> Path:
    """The run folder that a weights file lies in, if it lies in one."""
    return next((folder for folder in weights.parents if is_run(folder)), Path("RUN"))


def strip_auxiliary_head(net: Network, plain: Network) -> Network:
    """`plain`, the network of the same plan without an auxiliary head, with the weights of `net`, on the CPU."""
    state = net.state_dict()
    with torch.no_grad():
        plain.load_state_dict({name: state[name].cpu() for name in plain.state_dict()})
    return plain.eval()
