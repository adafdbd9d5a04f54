"""Budgets on the command line: a run with several, then retraining, prediction and export within one."""

from __future__ import annotations

import json
import sys

import pytest

import nasplug
from nasplug.cli.run_options import read_run_options
from nasplug.compose import compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.store.run_folder import RunFolder

WORDS = ("--method", "random", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--set", "retrain.epochs=1")


@pytest.mark.slow
def test_one_search_gives_networks_within_each_budget_and_every_command_chooses_by_it(
    here, few_images, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    words = ("--budget", "params=3k,8k", "--budget", "memory=40KB", "--reference", "plain")
    options = ("--set", "data.validation=0", "--set", "select.networks=1", "--set", "select.random=1")
    done = here("run", *WORDS, "--data", f"arrays:{few_images}", *words, *options, "--out", out)
    assert done.exit_code == 0, done.output

    result = json.loads((out / "result.json").read_text())
    networks = result["networks"]
    assert [network["role"] for network in networks] == ["found", "random", "reference"] * 2
    assert [network["budget"]["params"] for network in networks] == [3000] * 3 + [8000] * 3
    for network in networks:
        assert network["costs"]["params"] == network["params"] <= network["budget"]["params"]
        assert 0 < network["costs"]["memory"] <= 40_000
    assert [name for name in ("params", "memory", "MACs") if name in done.output] == ["params", "memory", "MACs"]

    small = next(network for network in networks if network["role"] == "found")
    loaded = nasplug.load(out)
    assert loaded.best(params=3000, memory="40KB").id == small["id"]
    exported = here("export", out, "--format", "safetensors", "--budget", "params=3k")
    assert f"Network {small['id']}" in exported.output, exported.output
    refused = here("predict", out, few_images, "--budget", "params=10")
    assert refused.exit_code == 2
    assert "has at most 10 params; the cheapest has" in refused.output

    again = tmp_path / "again"
    words = ("retrain", out, "--budget", "params=5k", "--set", "select.measures=", "--out", again)
    monkeypatch.setattr(sys, "argv", ["/bin/nasplug", *map(str, words)])
    done = here(*words)
    assert done.exit_code == 0, done.output
    result = json.loads((again / "result.json").read_text())
    assert result["budgets"] == [{"params": 5000}]
    assert all(3000 < network["params"] <= 5000 for network in result["networks"])
    assert {network["role"] for network in result["networks"]} == {"found", "random", "reference"}
    assert all(set(network["costs"]) == {"params", "macs"} for network in result["networks"])
    assert RunFolder(again).recipe()["environment"]["command"] == ["nasplug", *map(str, words)]


@pytest.mark.slow
def test_a_dry_run_says_what_networks_cost_and_how_they_are_scaled(here, few_images):
    words = ("--data", f"arrays:{few_images}", "--set", "data.validation=0", "--budget", "params=8k")
    # Each network and each kind of layer is measured.
    words += ("--set", "space.nodes=2", "--set", "space.operations=skip_connect,max_pool_3x3,sep_conv_3x3")
    done = here("run", *WORDS, *words, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "architectures in the space; networks at" in done.stderr
    rows = {line.split()[0]: line for line in done.stderr.splitlines() if line.strip()}
    assert {"params", "macs", "size", "memory", "latency"} <= rows.keys()
    assert "Networks are scaled to at most 8,000 params." in done.stderr
    assert "[budget]\nparams = 8000\n" in done.stdout


def test_the_precision_on_the_device_is_that_of_every_cost_that_counts_bytes():
    plugins = load_plugins()
    nothing = {"config": None, "settings": (), "max_params": None, "max_macs": None, "references": ()}

    def costs(precision, *budgets):
        layers = read_run_options(plugins, **nothing, budgets=budgets, precision_deployed=precision)
        return compose(plugins, resolve(plugins, [{"run": {"method": "random"}}, *layers])).costs

    assert costs(None, "size=8KB")["size"].precision == "float32"
    counted = costs("int8", "size=8KB")
    assert {name: measure.precision for name, measure in counted.items() if name != "latency"} == {
        "size": "int8",
        "memory": "int8",
    }
    with pytest.raises(InputError, match="'precision' cannot be 'int4'; it is one of float32, int8"):
        costs("int4")
