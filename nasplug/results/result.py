"""A finished run in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
from torch import Tensor, nn

from nasplug.errors import InputError, command, quote
from nasplug.parts import Network
from nasplug.plugins import Plugins, load_plugins
from nasplug.results.classifier import Classifier
from nasplug.results.prediction import predict
from nasplug.results.torch_state import IsolatedTorchState
from nasplug.store.best import best_network
from nasplug.store.costs import cost_units, read_limits
from nasplug.store.network_result import NetworkResult
from nasplug.store.networks import load_network, network_id
from nasplug.store.result import NETWORK_ENTRIES, largest_error, read_result
from nasplug.store.run_folder import RunFolder, read_json
from nasplug.values import Genotype, describe_costs, share_of


@attrs.frozen
class TrainedNetwork:
    """One network of a run."""

    run: RunFolder
    record: Mapping[str, Any]
    """Its entry in `result.json`."""
    plugins: Plugins = attrs.field(factory=load_plugins, eq=False, repr=False)
    """The plugins that build it."""

    @property
    def id(self) -> str:
        """Its name within the run."""
        return str(self.record["id"])

    @property
    def params(self) -> int:
        """Its number of parameters."""
        return int(self.record["params"])

    @property
    def test_error(self) -> float | None:
        """Its error on the test images, from 0 to 1; None while the run is not finished."""
        error = self.record["test_error"]
        return None if error is None else float(error)

    @property
    def reference(self) -> str | None:
        """The name of a reference network, such as "resnet8"; None for a network of the search space."""
        name = self.record.get("reference")
        return None if name is None else str(name)

    @property
    def genotype(self) -> Genotype | None:
        """Its architecture, None for a reference network. InputError if the file is damaged or of another network."""
        if self.record["genotype"] is None:
            return None
        path = self.run.path / self.record["genotype"]
        remedy = f"'nasplug resume {self.run.path}' writes it again"
        genotype = Genotype.from_dict(read_json(path, remedy))
        self._check_id(genotype, path, remedy)
        return genotype

    @property
    def weights(self) -> Path:
        """Its weights file; InputError if it is not trained."""
        if self.record["weights"] is None:
            looked_up = self.record.get("source") == "table"
            way = f"retrain {self.run.path} --set run.table=" if looked_up else f"resume {self.run.path}"
            raise InputError(f"The network '{self.id}' of '{self.run.path}' has no weights; to train it: nasplug {way}")
        return self.run.path / str(self.record["weights"])

    def classifier(self) -> Classifier:
        """The trained network together with its preprocessing, on the CPU."""
        net, facts = self._load()
        with IsolatedTorchState().active():
            return Classifier(net, facts)

    def network(self) -> nn.Module:
        """A plain module with trained weights, in eval mode on the CPU. It takes normalised images (N, C, H, W)."""
        return self._load()[0]

    def predict(self, images: Any) -> Tensor:
        """The answers (N, outputs), float32, to N raw images, or to a single one (then N is 1).

        They are probabilities of classes or labels, or the values of a regression, in the order of the names in
        `classifier().classes`.

        Images are a path, a Pillow image, a NumPy array or a tensor, or a list of these. Arrays and tensors hold uint8
        or floating-point numbers from 0 to 1; one is an image (H, W), (H, W, C) or (C, H, W), or several (N, H, W, C),
        (N, C, H, W) or, for a network of grey images, (N, H, W). Images of another size than the network's are scaled
        and cropped, as in training on files. Raises InputError for anything else.
        """
        return predict(self.classifier(), images)

    def _load(self) -> tuple[Network, dict[str, Any]]:
        with IsolatedTorchState().active():  # in float32, trainable and on the CPU, whatever the program has set
            net, facts = load_network(self.weights, self.plugins)
        remedy = f"restore it from a copy of the run, or train again: nasplug retrain {self.run.path}"
        if "reference" in facts:
            self._check_id(facts["reference"]["part"], self.weights, remedy)
            return net, facts
        self._check_id(Genotype.from_dict(facts["genotype"]), self.weights, remedy)
        if self.record["genotype"] is not None and (self.run.path / self.record["genotype"]).exists():
            _ = self.genotype  # what stands beside the weights must be of the same network
        return net, facts

    def _check_id(self, architecture: Genotype | str, path: Path, remedy: str) -> None:
        """Raises InputError if this genotype or name, read from `path`, does not have the id of this network."""
        recorded = self.record.get("network")
        if recorded is None:  # the entry does not say how large the network is
            return
        size = {name: value for name, value in recorded.items() if name not in ("classes", "size")}
        if network_id(architecture, size, self.record["matched_to"]) != self.id:
            raise InputError(
                f"'{path}' is not of the network '{self.id}' that 'result.json' says it is of: they differ in "
                f"their architectures; {remedy}."
            )


@attrs.frozen
class Result:
    """The result of a run."""

    run: RunFolder
    record: Mapping[str, Any]
    """`result.json`, whole."""
    plugins: Plugins = attrs.field(factory=load_plugins, eq=False, repr=False)
    """The plugins that build its networks."""

    @property
    def networks(self) -> tuple[TrainedNetwork, ...]:
        """Every trained network: found, random and reference networks."""
        return tuple(network for network in self.planned if network.record["weights"])

    @property
    def planned(self) -> tuple[TrainedNetwork, ...]:
        """Every network of the run, trained or not."""
        return tuple(TrainedNetwork(self.run, entry, self.plugins) for entry in self.record["networks"])

    @property
    def front(self) -> tuple[TrainedNetwork, ...]:
        """The found networks that no other beats in both error and params; some may be looked up, not trained."""
        return tuple(self[name] for name in self.record["front"])

    def __getitem__(self, name: str) -> TrainedNetwork:
        finished = self._finished()
        for network in finished:
            if network.id == name:
                return network
        raise InputError(f"The run '{self.run.path}' has no network {quote(name)}; it has {[n.id for n in finished]}.")

    def best(
        self, max_params: float | None = None, max_macs: float | None = None, **limits: float | str
    ) -> TrainedNetwork:
        """The found network with the lowest validation error within the limits, ties to fewer params.

        Limits are by cost measure, as numbers in its unit or as text: `best(params=50_000, latency="2ms")`.
        `max_params` and `max_macs` are other names of the limits `params` and `macs`. Raises InputError if no network
        keeps them, or if a cost was not measured in this run.
        """
        named = {name: limit for name, limit in (("params", max_params), ("macs", max_macs)) if limit is not None}
        return self.best_within({**named, **limits})

    def best_within(self, limits: Mapping[str, float | str]) -> TrainedNetwork:
        """As `best`, with the limits in one mapping."""
        units = cost_units(self.record)
        budget = read_limits(limits, units, str(self.run.path))
        bound = largest_error(self.record.get("data", {}))
        entries = [NetworkResult.from_entry(entry, bound) for entry in self.record["networks"]]
        best = best_network(entries, budget)
        if best is None:
            finished = {network.id for network in self._finished()}
            known = [entry for entry in entries if entry.id in finished and entry.found]
            if not known:
                raise InputError(
                    f"'{self.run.path}' has no trained network yet; go on: {command('resume', self.run.path)}"
                )
            least = min(known, key=lambda entry: (share_of(entry.costs, budget), entry.params))
            costs = {name: least.costs[name] for name in dict.fromkeys((*budget, "params", "macs"))}
            bounds = f"at most {describe_costs(budget, units)}" if budget else "an error to choose by"
            raise InputError(
                f"No found network of '{self.run.path}' has {bounds}; the cheapest has {describe_costs(costs, units)}."
            )
        return self[best.id]

    def _finished(self) -> tuple[TrainedNetwork, ...]:
        """Every network that is trained or was looked up in a table, which has no weights."""
        return tuple(
            network for network in self.planned if network.record["weights"] or network.record.get("source") == "table"
        )


def load(run: str | Path, plugins: Plugins | None = None) -> Result:
    """The result of a run folder; InputError if there is none."""
    folder = RunFolder.existing(Path(run))
    result = read_result(folder.path, network_entries=(*NETWORK_ENTRIES, "genotype", "weights"))
    return Result(folder, result.entries, plugins or load_plugins())


def choose_network(
    result: Result, name: str | None, limits: Mapping[str, float | str] = MappingProxyType({})
) -> TrainedNetwork:
    """The network whose id begins with `name`; without a name the best one within the limits, as for `Result.best`.

    Raises InputError if no network or more than one matches, naming what there is. It need not have weights.
    """
    if name is None:
        return result.best_within(limits)
    if limits:
        raise InputError(f"{quote(name)} names one network, and limits choose among all; give the one or the others.")
    matches = [network for network in result.planned if name and network.id.startswith(name)]
    if len(matches) > 1:
        raise InputError(
            f"{quote(name)} begins the ids of {len(matches)} networks; write more of one: {_list(matches)}."
        )
    if not matches:
        has = _list(result.planned) or "none yet"
        raise InputError(f"The run '{result.run.path}' has no network {quote(name)}; it has {has}.")
    return matches[0]


def _list(networks: Sequence[TrainedNetwork]) -> str:
    return ", ".join(f"{network.id} ({network.record['role']}, {network.params:,} params)" for network in networks)
