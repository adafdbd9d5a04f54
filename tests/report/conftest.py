"""Run folders as a search leaves them, without the search."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tomli_w

from nasplug.report import write_report
from nasplug.values import Drawing, Edge

OPERATIONS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
)
NODES = ("c_{k-2}", "c_{k-1}", "1", "2", "3", "4", "c_k")


def cell(title: str, generator: Random, most: int) -> Drawing:
    """A cell with 2 to `most` operations per node, several of them possibly from one input."""
    edges: list[Edge] = []
    for number in range(2, 6):
        offers = [Edge(source, NODES[number], operation) for source in NODES[:number] for operation in OPERATIONS]
        chosen = generator.sample(offers, generator.randint(2, most))
        edges += sorted(chosen, key=lambda edge: (NODES.index(edge.source), edge.operation))
        edges.append(Edge(NODES[number], NODES[-1], "concat"))
    return Drawing(title, NODES, tuple(edges))


def drawings(result: dict[str, Any]) -> dict[str, Sequence[Drawing]]:
    """Three cells for every network, from dense to sparse."""
    return {
        row["id"]: tuple(
            cell(f"cell {number}", Random(f"{row['id']}{number}"), (9, 6, 3)[index // 2 % 3]) for number in range(3)
        )
        for index, row in enumerate(result["networks"])
    }


def make_result(status: str = "done") -> dict[str, Any]:
    generator = Random(1)
    networks: list[dict[str, Any]] = []
    for index, params in enumerate((43_218, 31_477, 20_036, 13_502)):
        name = f"{generator.getrandbits(48):012x}"
        for role, partner in (("found", None), ("random", name)):
            own = name if role == "found" else f"{generator.getrandbits(48):012x}"
            size = params if role == "found" else params - 311
            networks.append(
                {
                    "id": own,
                    "role": role,
                    "matched_to": partner,
                    "params": size,
                    "macs": size * 37 + index,
                    "val_error": round(0.012 + 0.006 * index + generator.uniform(0, 0.006), 6),
                    "test_error": round(0.010 + 0.005 * index + generator.uniform(0, 0.008), 6),
                    "source": "trained",
                    "genotype": f"genotypes/{own}.json",
                    "weights": f"weights/{own}.safetensors",
                    "network": {"cells": 3, "channels": 8, "classes": 10, "size": 8, "stem": "cifar"},
                }
            )
    phases = ["teacher", "search", *(_phase(network) for network in networks), "test"]
    return {
        "schema": 1,
        "status": status,
        "method": "dnad",
        "space": "darts",
        "dataset": "digits",
        "seed": 0,
        "data": {
            "classes": [str(digit) for digit in range(10)],
            "size": 8,
            "channels": 1,
            "mean": [0.305],
            "std": [0.376],
        },
        "cost": {
            phase: {"seconds": 12.5 + 90 * (phase == "search"), "peak_memory_bytes": 412_000_000, "device": "cpu"}
            for phase in phases
        },
        "networks": networks,
        "front": [network["id"] for network in networks if network["role"] == "found"],
        "splits": {"train": 1138, "validation": 300, "test": 359},
        "figures": [
            {"name": "alive", "label": "operations kept", "progress": "{:.0f} operations alive"},
            {"name": "S", "label": "sparsity measure S"},
            {"name": "gamma", "label": "pressure gamma", "scale": "log"},
            {"name": "mu", "label": "offset mu", "unit": "", "scale": "linear", "progress": None},
        ],
    }


def sections() -> dict[str, Any]:
    return {
        "run": {
            "method": "dnad",
            "preset": "laptop",
            "seed": 0,
            "device": "auto",
            "precision": "auto",
            "threads": 2,
            "jobs": 1,
        },
        "space": {"part": "darts", "topology": "per-cell", "choices": "node", "cells": 3, "channels": 8},
        "optimizer": {"part": "one-level", "lr": 0.2},
        "schedule": {"part": "shrink", "gamma": 1e-3, "warm_up": 2, "prune_steps": [1, 2]},
        "teacher": {"part": "features", "weight": 1.0},
        "data": {"name": "digits", "validation": 0.1, "test": 0.2, "download": False},
        "search": {"epochs": 25, "batch_size": 96, "lr": 0.025},
        "retrain": {"epochs": 25, "batch_size": 96, "augment": "standard"},
        "select": {"networks": 4, "random": 1, "tolerance": 0.05},
        "plugins": {"nasplug": "0.1.0", "nasplug-snps": "0.1.0", "nasplug-dnad": "0.1.0"},
        "environment": {
            "command": ["nasplug", "search", "--method", "dnad", "--data", "digits", "--out", "my runs/1"],
            "python": "3.11.7",
            "torch": "2.11.0",
            "platform": "Linux-6.1-x86_64",
            "processor": "x86_64",
        },
    }


def events(networks: Sequence[dict[str, Any]], steps: int = 300) -> list[dict[str, Any]]:
    generator = Random(2)
    rows: list[dict[str, Any]] = []
    for phase in ("teacher", "search", *(_phase(network) for network in networks)):
        alive, gamma = 210, 1e-4
        for step in range(1, steps + 1):
            row: dict[str, Any] = {
                "event": "step",
                "phase": phase,
                "step": step,
                "epoch": (step - 1) // 12,
                "loss": 2.3 / (1 + 0.1 * step) + generator.uniform(0, 0.05),
            }
            if phase == "search":
                deleted = int(step > 40 and generator.random() < 0.5)
                alive, gamma = alive - deleted, gamma * (0.97 if deleted else 1.03)
                row |= {
                    "S": 0.9 * alive,
                    "gamma": gamma,
                    "mu": 1e-4 * 1.5 ** (step // 100),
                    "alive": alive,
                    "deleted": deleted,
                }
                if step % 60 == 0:
                    row |= {"snapshot": {"schema": 1, "space": "darts", "picks": {}}, "reason": "stall"}
            elif step % 12 == 0:
                row["train_error"] = 0.9 / (1 + 0.2 * step)
            rows.append(row)
    rows.append({"event": "found", "phase": "search", "step": steps, "reason": "end", "genotype": {}})
    return rows


def write(
    folder: Path, result: dict[str, Any] | None = None, steps: int = 300, options: dict[str, Any] | None = None
) -> Path:
    """A run folder with a last line of events that was cut off half-way."""
    result = make_result() if result is None else result
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(tomli_w.dumps(sections() if options is None else options), encoding="utf-8")
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    lines = [json.dumps(event) for event in events(result["networks"], steps)]
    (folder / "events.jsonl").write_text("\n".join([*lines, lines[-1][:30]]), encoding="utf-8")
    return folder


def _phase(network: dict[str, Any]) -> str:
    return f"{ {'found': 'retrain', 'random': 'baseline'}.get(network['role'], network['role']) }/{network['id']}"


@pytest.fixture
def result() -> dict[str, Any]:
    """The result.json of a finished run."""
    return make_result()


@pytest.fixture
def recipe() -> dict[str, Any]:
    return sections()


@pytest.fixture(scope="session", name="drawings")
def drawings_of() -> Callable[[dict[str, Any]], dict[str, Sequence[Drawing]]]:
    return drawings


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    return write


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the finished run of `result`."""
    result = make_result()
    return write_report(write(tmp_path_factory.mktemp("finished"), result), drawings(result))
