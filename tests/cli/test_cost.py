from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import torch
from click.testing import CliRunner

from nasplug.builtin.compact import Compact
from nasplug.builtin.nb201 import NasBench201
from nasplug.cli import main
from nasplug.values import ImageShape

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
GENOTYPE = NasBench201().parse(TEXT)


def cost(genotype: object, *words: str):
    arguments = ["cost", "--space", "nb201", "--genotype", str(genotype), "--classes", "100", "--json", *words]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.mark.parametrize("content", [TEXT, GENOTYPE.to_json()])
def test_a_genotype_is_read_from_a_file_or_as_text_in_any_notation_of_the_space(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("|a genotype").write_text(content)  # a file of this name is read, whatever its letters
    for given in (content, "|a genotype"):
        done = cost(given)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == {"params": 808276, "macs": 113957120}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("none.json", ["There is no genotype file 'none.json'", "the space 'nb201'", "|operation~0|"]),
        ("|nor_conv_3x3~0|", ["JSON or written |operation~0|"]),
        ('[["ir_r1_k3_s1_e6_c16"]]', ["JSON or written |operation~0|"]),
    ],
)
def test_a_text_that_is_no_genotype_is_refused_and_called_a_missing_file_only_where_it_looks_like_one(text, words):
    refused = cost(text)
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert all(word in refused.stderr for word in words)
    assert ("There is no genotype file" in refused.stderr) == (text == "none.json")


def test_any_measure_can_be_asked_for_with_options_of_its_own():
    done = cost(TEXT, "--measure", "params", "--measure", "memory", "--set", "space.channels=4")
    assert done.exit_code == 0, done.output
    costs = json.loads(done.stdout)
    assert costs["params"] == json.loads(cost(TEXT, "--set", "space.channels=4").stdout)["params"]
    # At least the input and the first map, of four channels.
    assert costs["memory"] >= (3 + 4) * 32 * 32 * 4

    arguments = ["cost", "--space", "nb201", "--genotype", TEXT, "--classes", "100", "--set", "space.channels=4"]
    assert CliRunner().invoke(main, [*arguments, "--measure", "params"]).stdout == f"params  {costs['params']:,}\n"


def test_all_measures_share_one_export(monkeypatch):
    exported, export = [], torch.export.export

    def count(net, *arguments, **settings):
        exported.append(net)
        return export(net, *arguments, **settings)

    monkeypatch.setattr(torch.export, "export", count)
    small = ("--set", "space.channels=2", "--set", "space.cells=1", "--size", "8", "--set", "latency.seconds=0.001")
    done = cost(TEXT, "--measure", "all", *small)
    assert done.exit_code == 0, done.output
    assert {"params", "macs", "size", "memory", "latency"} <= json.loads(done.stdout).keys()
    assert len(exported) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--measure", "latncy"], "Did you mean 'latency'?"),
        (["--set", "latency.repeats=1"], "There is no section of options here 'latency'. Known: space."),
        (["--measure", "latency", "--set", "latency.runtime=tpu"], "it is one of auto, onnxruntime, torch"),
    ],
)
def test_measures_and_options_that_there_are_not_are_refused(words, reason):
    refused = cost(TEXT, *words)
    assert refused.exit_code == 2
    assert reason in refused.stderr


def test_a_network_for_signals_costs_what_its_kernels_of_one_row_cost():
    space, compact = Compact(channels=4), ("cost", "--space", "compact", "--set", "space.channels=4", "--json")
    genotype = space.random(Random(0))
    words = ("--genotype", genotype.to_json(), "--signals", "--size", "40", "--measure", "params", "--measure", "macs")
    done = CliRunner().invoke(main, [*compact, *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    price = space.cost(genotype, ImageShape(channels=1, size=40, classes=10, dims=1))
    assert json.loads(done.stdout) == {"params": price.params, "macs": price.macs}
    told = CliRunner().invoke(main, [*compact[:-1], *words[:5]]).stdout
    assert told == f"{price.params:,} params, {price.macs:,} multiply-accumulates per signal\n"


def test_a_space_for_images_has_no_network_for_signals():
    refused = cost(TEXT, "--signals")
    assert refused.exit_code == 2
    assert "The space 'nb201' builds networks for images, and signals are asked for" in refused.stderr
