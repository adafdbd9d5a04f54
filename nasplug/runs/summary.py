"""`result.json`: what a run has come to, at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasplug.runs.context import RunContext
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder, write_json

SCHEMA = 1


def write_result(context: RunContext, status: str, plans: Sequence[PlannedNetwork]) -> dict[str, Any]:
    """Writes `result.json` and the genotype files from what the finished phases recorded."""
    folder, recipe = context.folder, context.recipe
    tests = folder.done("test") or {}
    for plan in plans:
        write_json(folder.path / "genotypes" / f"{plan.id}.json", plan.genotype.to_dict())
    ratings = (folder.done("search") or {}).get("ratings", [])
    networks = [_network(context, plan, tests.get("errors", {})) for plan in plans]
    result = {
        "schema": SCHEMA,
        "status": status,
        "method": recipe.run.method,
        "space": recipe.parts["space"].name,
        "dataset": recipe.data.name,
        "seed": recipe.run.seed,
        "data": context.preprocessing(),
        "splits": {name: len(getattr(context.splits, name)) for name in ("train", "validation", "test")},
        "cost": _costs(folder, plans),
        "ratings": ratings,
        "notes": [*(_sampled(each) for each in ratings if each["rated"] < each["paths"]), *_looked_up(networks)],
        "networks": networks,
        "front": front(networks),
        "best": best(networks),
    }
    folder.write_result(result)
    return result


def set_status(folder: RunFolder, status: str) -> None:
    """Changes the status of a run that has a result already."""
    if (folder.path / "result.json").is_file():
        folder.write_result(folder.result() | {"status": status})


def front(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of the trained networks that no other beats in both error (selection's, never the test's) and params."""
    rated = [each for each in networks if _error(each) is not None and each["role"] == "found"]
    rated.sort(key=lambda each: (each["params"], _error(each)))
    ids: list[str] = []
    lowest = float("inf")
    for each in rated:
        if _error(each) < lowest:
            lowest = _error(each)
            ids.append(each["id"])
    return ids


def best(
    networks: Sequence[Mapping[str, Any]], max_params: float | None = None, max_macs: float | None = None
) -> str | None:
    """The id of the found network with the lowest validation error within the limits, ties to fewer params."""
    fitting = [
        each
        for each in networks
        if each["role"] == "found"
        and _error(each) is not None
        and (max_params is None or each["params"] <= max_params)
        and (max_macs is None or each["macs"] <= max_macs)
    ]
    return min(fitting, key=lambda each: (_error(each), each["params"]))["id"] if fitting else None


def _error(network: Mapping[str, Any]) -> Any:
    """The error that selection may see. A run that holds out no validation images can only go by the last loss."""
    return network["val_error"] if network["val_error"] is not None else network.get("train_loss")


def _network(context: RunContext, plan: PlannedNetwork, tests: Mapping[str, float]) -> dict[str, Any]:
    done = context.folder.done(plan.phase)
    source = done.get("source", "trained") if done else "trained"
    return {
        "id": plan.id,
        "role": plan.role,
        "matched_to": plan.matched_to,
        "params": plan.cost.params,
        "macs": plan.cost.macs,
        "val_error": done["val_error"] if done else None,
        "train_loss": done["train_loss"] if done else None,
        "test_error": tests.get(plan.id),
        "source": source,
        "genotype": f"genotypes/{plan.id}.json",
        "weights": f"weights/{plan.id}.safetensors" if done and source == "trained" else None,
        "network": {**plan.size, "classes": context.shape.classes, "size": context.shape.size},
    }


def _sampled(rating: Mapping[str, Any]) -> str:
    where = "the network" if rating["block"] is None else f"block {rating['block']}"
    return f"A random sample of {rating['rated']:,} of the {rating['paths']:,} paths through {where} was rated."


def _looked_up(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    count = sum(each["source"] == "table" for each in networks)
    return [f"{count} of {len(networks)} networks were looked up in a table, not trained here."] if count else []


def _costs(folder: RunFolder, plans: Sequence[PlannedNetwork]) -> dict[str, Any]:
    names = ["teacher", "search", *(plan.phase for plan in plans)]
    records = {name: folder.done(name) for name in names}
    return {name: record["cost"] for name, record in records.items() if record and "cost" in record}
