from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from click.testing import CliRunner, Result

from nasplug.cli import main
from nasplug.report.methods import read_comparison
from nasplug.report.methods.tables import describe_gain

SECTIONS = {
    "run": {"method": "dnad", "preset": "laptop", "seed": 0, "threads": 2},
    "space": {"part": "darts", "cells": 3},
    "optimizer": {"part": "one-level"},
    "schedule": {"part": "shrink"},
    "teacher": {"part": "features"},
    "data": {"name": "digits", "root": "", "download": False, "validation": 0.1},
    "search": {"epochs": 25},
    "retrain": {"epochs": 25},
    "select": {"networks": 2},
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Pages without --out are written to the working directory."""
    monkeypatch.chdir(tmp_path)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, words)], catch_exceptions=False)


def figures(*words: object) -> dict:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def sentence_of(folder: str) -> str:
    (group,) = read_comparison([Path(folder)]).groups
    return describe_gain(group)


def reference(part: str, params: int, val: float, test: float | None, matched: str | None = None) -> dict:
    return network(part, params, val, test, matched) | {"role": "reference", "genotype": None, "reference": part}


def network(name: str, params: int, val: float, test: float | None, matched: str | None = None) -> dict:
    role = "random" if matched else "found"
    errors = {"val_error": val, "test_error": test}
    return {"id": name, "role": role, "matched_to": matched, "params": params, "macs": 2 * params, **errors}


def run(
    folder: str,
    method: str = "dnad",
    seed: int = 0,
    errors: tuple[float | None, ...] = (0.1, 0.2, 0.3, 0.5),
    status: str = "done",
    device: str = "cpu",
    digests: dict[str, str] | None = None,
    references: tuple[dict, ...] = (),
    **changes: object,
) -> Path:
    """A run folder of two found networks, each with a random one of its size; the second found one is the best.

    `errors` are the test errors of found, random, found and random; `changes` are options, as section__name, or
    sections.
    """
    networks = [
        network("aa", 1000 + seed, 0.04, errors[0]),
        network("bb", 1010 + seed, 0.01, errors[1], "aa"),
        network("cc", 2000 + seed, 0.03, errors[2]),
        network("dd", 2020 + seed, 0.02, errors[3], "cc"),
        *references,
    ]
    sections = copy.deepcopy(SECTIONS)
    sections["run"] |= {"method": method, "seed": seed, "threads": 1 + seed}
    for name, value in changes.items():
        section, _, option = name.partition("__")
        sections.setdefault(section, {}).update({option: value} if option else value)
    seconds = {"teacher": 1.0, "search": 10.0 + seed, "retrain/aa": 100.0, "baseline/bb": 1000.0}
    result = {
        "schema": 1,
        "status": status,
        "method": method,
        "dataset": sections["data"]["name"],
        "seed": seed,
        "splits": {"train": 80, "validation": 10, "test": 10},
        "digests": digests,
        "cost": {phase: {"seconds": each, "peak_memory_bytes": 1, "device": device} for phase, each in seconds.items()},
        "networks": networks,
        "front": ["aa", "cc"],
        "best": "cc",
    }
    path = Path(folder)
    path.mkdir()
    (path / "recipe.toml").write_text(tomli_w.dumps(sections))
    (path / "result.json").write_text(json.dumps(result))
    return path


ERRORS = ((0.10, 0.20, 0.30, 0.50), (0.10, 0.15, 0.31, 0.30), (0.12, 0.10, 0.26, 0.40))


@pytest.fixture
def three():
    return [run(f"seed{seed}", seed=seed, errors=errors) for seed, errors in enumerate(ERRORS)]


def standard_error(values: np.ndarray) -> float:
    return np.std(values, ddof=1) / np.sqrt(values.size)


def test_a_group_has_mean_spread_and_cost_over_its_seeds(three):
    (group,) = figures(*three)["groups"]
    gains = np.array([[b - a, d - c] for a, b, c, d in ERRORS])
    accuracies = [1 - errors[2] for errors in ERRORS]

    assert [member["seed"] for member in group["runs"]] == [0, 1, 2]
    assert (group["pairs"], group["options"], group["devices"]) == (6, [], ["cpu"])
    assert group["params"] == {"mean": 2001, "deviation": 1}
    assert group["test_accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert group["test_accuracy"]["deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    means = gains.mean(1)
    assert group["random_minus_found"]["mean"] == pytest.approx(gains.mean())
    half = 4.302652730 * standard_error(means)  # Student's t: 97.5 % with two degrees of freedom
    assert group["interval"] == pytest.approx([means.mean() - half, means.mean() + half])
    assert group["standard_error_over_pairs"] == pytest.approx(standard_error(gains))
    assert group["search_seconds"] == {"mean": 12, "deviation": 1}
    assert group["seconds"] == {"mean": 1112, "deviation": 1}
    assert [member["best"] for member in group["runs"]] == ["cc"] * 3


@pytest.fixture
def with_references():
    """Of every run the best found network is cc, and the best reference network resnet8, which others beat in the test.

    What is matched to aa does not have the cost of cc.
    """
    return [
        run(
            f"seed{seed}",
            seed=seed,
            errors=errors,
            references=(
                reference("resnet8", 2100, 0.05, errors[2] + gain),
                reference("plain", 1900, 0.06, 0.0),
                reference("ds-cnn", 2200, 0.05, 0.0, "cc"),
                reference("mobilenetv2", 900, 0.01, 0.0, "aa"),
            ),
        )
        for seed, (errors, gain) in enumerate(zip(ERRORS, REFERENCE_GAINS, strict=True))
    ]


REFERENCE_GAINS = (0.04, -0.01, 0.06)


def test_the_best_found_network_is_compared_with_the_best_reference_network_of_its_cost(with_references):
    (group,) = figures(*with_references)["groups"]
    gains = np.array(REFERENCE_GAINS)

    assert [member["reference"] for member in group["runs"]] == ["resnet8"] * 3
    assert [member["reference_params"] for member in group["runs"]] == [2100] * 3
    assert [member["reference_minus_found"] for member in group["runs"]] == pytest.approx(gains)
    assert group["reference_minus_found"]["mean"] == pytest.approx(0.03)
    assert group["reference_minus_found"]["deviation"] == pytest.approx(np.std(gains, ddof=1))
    assert group["reference_standard_error"] == pytest.approx(standard_error(gains))
    half = 4.302652730 * standard_error(gains)
    assert group["reference_interval"] == pytest.approx([0.03 - half, 0.03 + half])
    assert (group["pairs"], group["runs"][0]["pairs"]) == (6, 2)


def test_both_comparisons_stand_in_tables_and_page(with_references):
    run("without", method="snps", errors=(0.2, 0.1, 0.2, 0.1))
    lines = call(*with_references, "without").stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    place = rows[0].index("reference - found, points")
    assert rows[0][place - 2 : place + 2] == [
        "random - found, points",
        "95 % interval",
        "reference - found, points",
        "95 % interval",
    ]
    assert rows[2][place : place + 2] == ["+3.00 ± 2.08", "-5.96 to +11.96"]
    assert rows[3][place : place + 2] == ["-", "-"]
    head, first, last = rows[4], rows[6], rows[-1]
    assert (first[head.index("reference")], last[head.index("reference")]) == ("resnet8 (2,100)", "-")
    assert (first[head.index("reference - found, points")], last[head.index("search, s")]) == ("+4.00", "11.0")
    assert any(line.startswith("reference - found: ") for line in lines)

    page = page_of(*with_references, "without")
    assert page.tags.count("svg") == 3
    assert "dnad: the best found network is better than the best reference network by 3.00 points" in page.text
    assert "95 % interval over 3 runs: -5.96 to +11.96; that includes zero, so it may be chance" in page.text


def test_without_reference_networks_nothing_is_said_of_them(three):
    assert "reference" not in call(*three).stdout
    assert "reference" not in page_of(*three).text
    (group,) = figures(*three)["groups"]
    assert group["reference_minus_found"] is None


def test_a_reference_network_that_was_not_tested_is_not_compared():
    (group,) = figures(run("one", references=(reference("plain", 1900, 0.06, None),)))["groups"]
    assert group["reference_minus_found"] is None


def test_a_single_run_has_no_spread():
    (group,) = figures(run("one"))["groups"]

    assert group["test_accuracy"] == {"mean": pytest.approx(0.7), "deviation": None}
    assert group["interval"] is None
    assert group["standard_error_over_pairs"] is not None
    assert "a single run, which does not tell" in sentence_of("one")


def test_methods_presets_spaces_and_data_sets_keep_apart():
    run("a")
    run("b", method="snps")
    run("c", run__preset="tiny")
    run("d", space__part="mbconv")
    run("e", data__name="folder:photos")
    groups = figures(*"abcde")["groups"]

    keys = {tuple(group[key] for key in ("method", "space", "dataset", "preset")) for group in groups}
    assert len(groups) == len(keys) == 5
    assert ("dnad", "darts", "folder:photos", "laptop") in keys


def test_runs_with_other_options_make_rows_of_their_own():
    run("a", seed=0)
    run("b", seed=1, run__threads=7, data__root="/elsewhere")
    run("c", seed=0, search__epochs=50, search__warmup=2)
    looked_up = run("d", seed=0) / "result.json"
    result = json.loads(looked_up.read_text())
    result["networks"][0]["source"] = "table"
    looked_up.write_text(json.dumps(result | {"splits": {"train": 70}}))
    groups = figures(*"abcd")["groups"]

    assert [[member["run"] for member in group["runs"]] for group in groups] == [["a", "b"], ["c"], ["d"]]
    images = "images=80 train + 10 validation + 10 test"
    assert [group["options"] for group in groups] == [
        ["search.epochs=25", images, "networks=trained", "search.warmup=unset"],
        ["search.epochs=50", images, "networks=trained", "search.warmup=2"],
        ["search.epochs=25", "images=70 train", "networks=table + trained", "search.warmup=unset"],
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"run__precision": "bf16"}, ["run.precision=bf16"]),
        ({"run__teacher_from": "timm:resnet18"}, ["run.teacher_from=timm:resnet18"]),
        ({"size": {"precision": "int8"}}, ["size.precision=int8"]),
        ({"plain": {"blocks": 3}}, ["plain.blocks=3"]),
    ],
)
def test_rows_keep_apart_whatever_decides_what_is_computed(changes, named):
    run("a", seed=0)
    run("b", seed=1, **changes)
    groups = figures("a", "b")["groups"]
    assert [group["options"] for group in groups][1] == named


def test_the_machine_and_options_of_later_versions_at_their_defaults_keep_nothing_apart():
    run("a", seed=0)
    machine = {"device": "cuda", "jobs": 4, "checkpoint_seconds": 0.0, "cuda_graphs": False, "command": ["nasplug"]}
    later = {
        "run": {**machine, "precision": "auto", "teacher_from": "", "sync_norms": False, "measure_every": 25},
        "search": {"momentum": 0.9, "clip": 5.0, "betas": [0.9, 0.999]},
        "select": {"scale": False, "references": [], "measures": [], "candidates": 0},
        "data": {"folds": 0, "workers": 3},
        "budget": {"weight": 0.0},
        "executor": {"part": "ray", "gpus": 1.0},
        "plugins": {"nasplug": "9.0"},
        "environment": {"torch": "9.0"},
    }
    run("b", seed=1, **later)
    assert len(figures("a", "b")["groups"]) == 1
    run("c", seed=2, **later, select__scale=True)
    assert [group["options"] for group in figures("a", "b", "c")["groups"]] == [
        ["select.scale=false"],
        ["select.scale=true"],
    ]


def record_search(path: Path, seconds: float, genotypes: list[str], phase: str = "search") -> None:
    (path / "phases" / "search").mkdir(parents=True)
    (path / "phases" / "search" / "done.json").write_text(json.dumps({"cost": {"seconds": seconds}}))
    found = [{"event": "found", "phase": phase, "step": 0, "reason": "", "genotype": {"a": name}} for name in genotypes]
    others = [{"event": "found", "phase": "trial/1", "step": 0, "reason": "", "genotype": {"a": str(path)}}]
    (path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in [*found, *others]))


def test_runs_that_have_one_search_in_common_are_named(three):
    for path in three:
        record_search(path, 12.5, ["x", "y"])
    (note,) = figures(*three)["notes"]
    assert note == (
        "seed0, seed1 and seed2 have the same search: the 95 % interval of dnad on digits is that of the retraining "
        "alone."
    )
    assert note in call(*three).stdout
    assert note in page_of(*three).text

    record_search(run("seed3", seed=3), 12.5, ["x", "z"])
    record_search(run("seed4", seed=4), 12.25, ["x", "y"])
    record_search(run("seed5", seed=5), 12.5, [])
    record_search(run("seed6", seed=6), 12.5, [])
    record_search(run("other", method="snps"), 12.5, ["x", "y"])
    names = (*three, *(f"seed{seed}" for seed in (3, 4, 5, 6)), "other")
    (note,) = figures(*names)["notes"]
    assert note.startswith("seed0, seed1 and seed2 have the same search: they differ by the retraining alone")


def test_the_tables_are_markdown_with_a_row_for_each_group_and_run(three):
    run("other", method="snps", errors=(0.2, 0.1, 0.2, 0.1))
    lines = call(*three, "other").stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]

    assert rows[0][:4] == ["data", "method", "space", "preset"]
    dnad, snps = dict(zip(rows[0], rows[2], strict=True)), dict(zip(rows[0], rows[3], strict=True))
    assert (dnad["method"], dnad["runs"], dnad["pairs"]) == ("dnad", "3", "6")
    assert (dnad["params"], dnad["test accuracy"]) == ("2,001 ± 1", "71.00 % ± 2.65 %")
    assert (dnad["random - found, points"], dnad["95 % interval"]) == ("+7.67 ± 3.53", "-8.87 to +24.21")
    assert (snps["test accuracy"], snps["random - found, points"], snps["95 % interval"]) == (
        "80.00 %",
        "-10.00 ± 0.00",
        "-",
    )
    assert [row[0] for row in rows[6:]] == ["seed0", "seed1", "seed2", "other"]
    assert lines[-1] == "Page: compare.html"
    assert Path("compare.html").is_file()


def test_unfinished_runs_are_left_out_and_named(three):
    half = run("half", seed=9, errors=(None,) * 4, status="stopped")
    compared = figures(*three, half)

    assert len(compared["groups"][0]["runs"]) == 3
    assert compared["unfinished"] == ["half"]
    assert "half is left out: its status is 'stopped', and 'nasplug resume half' continues it." in compared["notes"]
    assert call(half).exit_code == 2


def test_doubtful_comparisons_are_named():
    run("a")
    run("b", device="cuda")
    notes = figures("a", "b")["notes"]

    assert any("several runs with the seed 0; they are not independent" in note for note in notes)
    assert any("ran on cpu and cuda; its seconds mix them" in note for note in notes)


def test_runs_without_test_errors_are_compared_by_cost():
    (group,) = figures(run("a", errors=(None,) * 4))["groups"]

    assert (group["random_minus_found"], group["test_accuracy"], group["pairs"]) == (None, None, 0)
    assert "no found network was tested beside a random one" in sentence_of("a")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nowhere",), "'nowhere' is no run folder"),
        (("seed0", "seed1", "./seed0"), "'seed0' is named twice"),
        (("seed0", "--out", "result.json"), "does not end in '.html'"),
        (("damaged",), "recipe.toml' is damaged"),
        (("lost",), "there is no network 'gone'; 'nasplug resume lost' writes it again"),
        (("nameless",), "it names no best network of the run; 'nasplug resume nameless' writes it again"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(three, words, reason):
    damaged = run("damaged")
    (damaged / "recipe.toml").write_text("[run]\nseed = 1\n")
    path = run("lost") / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"best": "gone"}))
    path = run("nameless") / "result.json"
    content = json.loads(path.read_text()) | {"best": None}
    for entry in content["networks"]:
        entry["val_error"] = None
    path.write_text(json.dumps(content))
    result = call(*words)

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("compare.html").exists()


class Page(HTMLParser):
    """Text, tags, ids and references of a page; tags must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.words, self.tags, self.ids, self.targets = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.targets += [value for name, value in attrs if name in ("href", "src")]
        self.open += [tag] if tag != "meta" else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def page_of(*words: object) -> Page:
    result = call(*words, "--out", "page.html")
    assert result.exit_code == 0, result.output
    return Page(Path("page.html").read_text(encoding="utf-8"))


def test_the_page_stands_alone_with_charts_for_each_data_set(three):
    nasty = "<b>&\"'"
    run("other", method=nasty, data__name="folder:photos")
    page = page_of(*three, "other")
    text = Path("page.html").read_text(encoding="utf-8")

    assert page.tags.count("svg") == 4
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert all(target.startswith("#") and target[1:] in page.ids for target in page.targets)
    assert set(re.findall(r"https?://[^\s\"'<>)]*", text)) <= {"http://www.w3.org/2000/svg"}
    assert nasty in page.text
    assert "dnad: found networks are better than random ones of equal size by 7.67 points" in page.text
    assert "95 % interval over 3 runs: -8.87 to +24.21; that includes zero, so it may be chance" in page.text
    assert page.text.index("digits") < page.text.index("folder:photos")
    page_of(*three, "other")
    assert Path("page.html").read_text(encoding="utf-8") == text


def test_runs_of_one_recipe_are_averaged_only_over_equal_images():
    images = {"data": "1", "train": "2", "validation": "3", "test": "4"}
    run("a", seed=0, digests=images)
    run("b", seed=1, digests=images | {"train": "5", "test": "6"})  # another seed holds out other images
    run("c", seed=2, digests=dict.fromkeys(images, "9"))
    run("d", seed=0, digests=images | {"test": "7"})
    assert [[member["run"] for member in group["runs"]] for group in figures("a", "b")["groups"]] == [["a", "b"]]
    others = figures("a", "b", "c")
    assert [[member["run"] for member in group["runs"]] for group in others["groups"]] == [["a", "b"], ["c"]]
    assert [group["options"] for group in others["groups"]] == [["data digest=1"], ["data digest=9"]]
    assert others["groups"][0]["test_accuracy"] == figures("a", "b")["groups"][0]["test_accuracy"]
    groups = figures("a", "b", "d")["groups"]
    assert [[member["run"] for member in group["runs"]] for group in groups] == [["a", "b"], ["d"]]
    assert [group["options"] for group in groups] == [["test digest=4"], ["test digest=7"]]


def test_runs_on_other_images_are_named():
    images = {"data": "1", "train": "2", "validation": "3", "test": "4"}
    run("a", digests=images)
    run("b", method="snps", digests=images)
    run("c", method="snps", seed=1, digests=images | {"train": "5", "validation": "6", "test": "7"})
    assert figures("a", "b", "c")["notes"] == []

    run("d", method="darts", digests=images | {"test": "8"})
    run("e", method="random", seed=1, digests=dict.fromkeys(images, "9"))
    run("f", method="random", seed=2)
    notes = figures("a", "b", "c", "d", "e", "f")["notes"]
    assert notes == [
        "d and a have the same seed, but other images of digits for test; do not compare their errors.",
        "e had other images of digits than a; they are in different rows, do not compare these.",
        "Whether f had the same images of digits as the others is not recorded.",
    ]
