from __future__ import annotations

import copy
import json
import re
from contextlib import nullcontext
from html.parser import HTMLParser

import numpy as np
import pytest

from nasplug.errors import InputError
from nasplug.report import write_report
from nasplug.store.lock import lock_run
from nasplug.store.run_folder import RunFolder
from nasplug.values import Drawing, Edge

VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Checks that tags are balanced, and gathers text, tags, ids and references."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.tags, self.ids, self.targets, self.rows = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.targets += [value for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and "table" in self.open and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def read(path):
    outline = Outline()
    outline.feed(path.read_text(encoding="utf-8"))
    outline.close()
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    return outline


@pytest.fixture
def finished(report):
    return read(report)


def test_every_network_stands_in_the_table_with_its_figures(finished, result):
    rows = {row[0].split()[0]: row for row in finished.rows if row}
    for network in result["networks"]:
        row = rows[network["id"]]
        assert row[1] == network["role"]
        assert row[2] == (network["matched_to"] or "")
        assert row[3] == ("yes" if network["id"] in result["front"] else "")
        assert [int(cell.replace(",", "")) for cell in row[4:6]] == [network["params"], network["macs"]]
        for shown, error in zip(row[6:], (network["val_error"], network["test_error"]), strict=True):
            assert float(shown.removesuffix(" %")) == pytest.approx(100 * error, abs=0.0051)


def test_the_best_network_is_chosen_by_validation_error_and_named_first(finished, result):
    found = [network for network in result["networks"] if network["role"] == "found"]
    best = min(found, key=lambda network: network["val_error"])
    assert f"The best network, {best['id']}, has {best['params']:,} parameters" in finished.text
    assert f"{best['id']} ★ best" in finished.text


def test_a_best_network_named_by_the_run_is_kept(tmp_path, result, write_run):
    result["best"] = result["networks"][4]["id"]
    assert f"{result['best']} ★ best" in read(write_report(write_run(tmp_path, result, steps=0), {})).text


def test_found_networks_are_compared_in_pairs(finished, result):
    errors = {network["id"]: network["test_error"] for network in result["networks"]}
    random = [network for network in result["networks"] if network["matched_to"]]
    gains = 100 * np.array([network["test_error"] - errors[network["matched_to"]] for network in random])
    mean, error = gains.mean(), gains.std(ddof=1) / np.sqrt(len(gains))
    assert mean > 0
    sentence = (
        f"{mean:.2f} percentage points ± {error:.2f} percentage points (standard error, n = 4 matched pairs) lower"
    )
    assert sentence in finished.text
    half = 3.182 * error  # Student's t with three degrees of freedom
    assert f"95 % interval over found networks: {mean - half:+.2f} to {mean + half:+.2f} points;" in finished.text
    assert ("it may be chance" in finished.text) == (mean < half)


def test_a_network_worse_than_chance_is_named(tmp_path, result, write_run):
    for network in result["networks"]:
        network["test_error"] = 0.5 if network["role"] == "found" else 0.25
    text = read(write_report(write_run(tmp_path, result, steps=0), {})).text
    assert "25.00 percentage points ± 0.00 percentage points (standard error, n = 4 matched pairs) higher" in text
    assert "On average, the found networks are worse than the random ones." in text
    assert "may be chance" not in text
    for found, random in zip(result["networks"][::2], result["networks"][1::2], strict=True):
        assert f"Found network {found['id']} is worse than its random network {random['id']}: 50.00 % against" in text


@pytest.fixture
def beside_references(result):
    """A run with two reference networks, of which plain is the better one in validation."""
    best = min(result["networks"][::2], key=lambda network: network["val_error"])
    best["test_error"] = 0.02
    for number, (part, val_error, test_error) in enumerate((("plain", 0.03, 0.05), ("resnet8", 0.04, 0.01))):
        entry = {"id": f"ab{number}", "role": "reference", "reference": part, "genotype": None, "matched_to": None}
        errors = {"val_error": val_error, "test_error": test_error}
        result["networks"].append(best | entry | errors | {"params": best["params"] + 7})
    return result, best


def test_reference_networks_stand_beside_the_best_network(tmp_path, beside_references, drawings, write_run):
    result, best = beside_references
    shapes = {name: cells for name, cells in drawings(result).items() if name not in ("ab0", "ab1")}
    page = write_report(write_run(tmp_path, result), shapes)
    outline, svgs = read(page), page.read_text().split("<svg")
    rows = {row[0].split()[0]: row for row in outline.rows if row}
    assert [rows[name][1] for name in ("ab0", "ab1")] == ["reference plain", "reference resnet8"]
    assert rows["ab0"][3] == ""
    assert (
        f"The test error of the best network, 2.00 % with {best['params']:,} parameters, is 3.00 percentage points "
        f"lower than that of the best reference network, plain (ab0): 5.00 % with {best['params'] + 7:,} parameters."
    ) in outline.text
    assert "n = 4 matched pairs" in outline.text
    assert all(target[1:] in outline.ids for target in outline.targets)
    trade_off = next(svg for svg in svgs if "test error against parameters" in svg)
    assert "of 10 networks" in trade_off
    assert trade_off.count("var(--purple)") >= 2
    assert "dashed: the random network matched to it, or a reference network" in outline.text


def test_without_reference_networks_the_page_says_nothing_of_them(finished):
    assert "eference network" not in finished.text


def test_a_reference_network_that_is_better_or_equal_is_named_so(tmp_path, beside_references, write_run):
    result, _ = beside_references
    for error, words in ((0.005, "1.50 percentage points higher than"), (0.02, "equal to")):
        result["networks"][-2]["test_error"] = error
        text = read(write_report(write_run(tmp_path, result, steps=0), {})).text
        assert f"is {words} that of the best reference network, plain" in text


def test_the_file_refers_to_nothing_outside_itself(report, finished):
    text, outline = report.read_text(encoding="utf-8"), finished
    assert set(re.findall(r"https?://[^\s\"'<>)]*", text)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in text
    assert "script" not in outline.tags
    assert all(target.startswith("#") and target[1:] in outline.ids for target in outline.targets)
    assert all(name in outline.ids for name in re.findall(r"url\(#([^)]*)\)", text))


def test_the_sections_come_in_reading_order(finished):
    heads = ["Networks", "Error against cost", "Shrinking of the supernet", "Training curves", "Architectures"]
    heads += ["Data", "Cost", "Environment", "Recipe", "Repeat this run"]
    places = [finished.words.index(head) for head in heads]
    assert places == sorted(places)


def test_recipe_cost_and_command_are_shown_in_full(finished, result, recipe):
    rows = {tuple(row[:2]) for row in finished.rows if len(row) >= 2}
    for section in recipe.values():
        for name, value in section.items():
            if not isinstance(value, bool | list):
                assert (name, str(value)) in rows
    assert "nasplug search --method dnad --data digits --out 'my runs/1'" in finished.text
    total = sum(phase["seconds"] for phase in result["cost"].values())
    assert any(row[0] == "total" and row[-1].startswith(f"{total:,.1f} s") for row in finished.rows if row)


def test_the_same_run_gives_the_same_bytes(tmp_path, report, result, drawings, write_run):
    again = write_report(write_run(tmp_path / "elsewhere", result), drawings(result))
    assert again.read_bytes() == report.read_bytes()


def test_names_are_escaped(tmp_path, result, recipe, write_run):
    nasty = "<script>alert('&\")</script>"
    cell = Drawing(nasty, (nasty, "out"), (Edge(nasty, "out", nasty),))
    figures = {network["id"]: (cell,) for network in result["networks"]}
    result |= {"method": nasty, "dataset": nasty, "notes": [nasty]}
    result["data"]["classes"] = [nasty]
    recipe["space"][nasty] = nasty
    recipe["environment"]["command"] = ["nasplug", nasty]
    path = write_report(write_run(tmp_path, result, steps=0, options=recipe), figures)
    outline = read(path)
    assert "script" not in outline.tags
    assert outline.text.count(nasty) > 8


def test_a_leak_stands_out_among_the_notes(tmp_path, result, write_run):
    result |= {"notes": ["A leak.", "A note."], "leaks": ["A leak."]}
    text = write_report(write_run(tmp_path, result), {}).read_text(encoding="utf-8")
    assert '<p class="state">A leak.</p>' in text
    assert "<p>A note.</p>" in text


def with_answers(result, classes, rows):
    """The same result, its classes and what its best network answered."""
    best = min((each for each in result["networks"] if each["role"] == "found"), key=lambda each: each["val_error"])
    best["confusion"] = rows
    result["data"]["classes"] = classes
    return result


def test_a_confusion_matrix_shows_what_the_best_network_answers(tmp_path, result, drawings, write_run):
    rows = [[0, 0, 1500], [0, 1, 500], [1, 1, 3], [1, 2, 1]]
    with_answers(result, ["cat", "dog", "<b>"], rows)
    path = write_report(write_run(tmp_path, result, steps=0), drawings(result))
    outline = read(path)
    at = outline.rows.index(["class", "images", "recall", "cat", "dog", "<b>"])
    assert outline.rows[at + 1 : at + 4] == [
        ["cat", "2,000", "75.00 %", "1,500", "500", ""],
        ["dog", "4", "75.00 %", "", "3", "1"],
        ["<b>", "0", "", "", "", ""],
    ]
    assert "The balanced accuracy of the best network" in outline.text
    assert "is 75.00 %" in outline.text
    assert 'style="--share: 25%"' in path.read_text(encoding="utf-8")
    assert "<details open>" in path.read_text(encoding="utf-8")
    assert "Balanced errors are means of the errors by class" in outline.text


def test_classes_of_equal_size_are_folded_and_many_are_the_worst_ones(tmp_path, result, drawings, write_run):
    even = with_answers(copy.deepcopy(result), ["a", "b"], [[0, 0, 10], [1, 1, 9], [1, 0, 1]])
    text = write_report(write_run(tmp_path / "even", even, steps=0), drawings(even)).read_text(encoding="utf-8")
    assert "<details>" in text
    assert "Balanced errors" not in text
    rows = [[place, place, 100 - place] for place in range(40)] + [[5, 6, 200], [3, 2, 50]]
    many = with_answers(result, [f"class {place}" for place in range(40)], rows)
    outline = read(write_report(write_run(tmp_path / "many", many, steps=0), drawings(many)))
    assert ["class 5", "295", "32.20 %"] in outline.rows
    assert ["class 5", "class 6", "200", "67.80 %"] in outline.rows
    assert ["class 3", "class 2", "50", "34.01 %"] in outline.rows
    assert sum(len(row) == 3 and row[0].startswith("class ") for row in outline.rows) == 20


def test_a_cross_validation_is_shown_with_its_standard_error_and_its_phases_as_one(tmp_path, result, write_run):
    for network in result["networks"]:
        network["val_standard_error"] = 0.0123
    cost = {"seconds": 1.0, "peak_memory_bytes": 1, "device": "cpu"}
    phases = [f"folds/{number}-of-5/{kind}" for number in range(1, 6) for kind in ("retrain/x", "tournament/1/y")]
    result |= {"folds": 5, "cost": dict.fromkeys(phases, cost)}
    outline = read(write_report(write_run(tmp_path, result, steps=0), {}))
    assert "± 1.23 %" in outline.text
    assert "cross-validation over 5 folds" in outline.text
    assert [row[0] for row in outline.rows if "trainings)" in row[0]] == [
        "folds (5 trainings)",
        "tournament/1 (5 trainings)",
    ]


@pytest.mark.parametrize("status", ["running", "stopped", "failed"])
def test_a_run_without_networks_has_a_report(tmp_path, result, write_run, status):
    result |= {"status": status, "networks": [], "front": [], "cost": {}}
    run = write_run(tmp_path, result, steps=30)
    with lock_run(RunFolder(run)) if status == "running" else nullcontext():
        text = read(write_report(run, {})).text
    assert "No network is finished yet." in text
    assert {"running": "still running", "stopped": "stopped before its end", "failed": "failed before"}[status] in text
    assert "Shrinking of the supernet" in text


def test_unmeasured_errors_are_called_not_finished(tmp_path, result, drawings, write_run):
    part = copy.deepcopy(result) | {"status": "running", "front": []}
    for network in part["networks"]:
        network["test_error"] = None
    part["networks"][3]["val_error"] = None
    outline = read(write_report(write_run(tmp_path, part, steps=0), drawings(part)))
    assert sum(row.count("not finished") for row in outline.rows) == len(part["networks"]) + 1
    assert "its test error is not measured yet" in outline.text
    assert "No found network can be compared with a random one yet." in outline.text
    assert "validation error (%)" in outline.text


def test_the_first_moments_of_a_run_have_a_report(tmp_path):
    (tmp_path / "recipe.toml").write_text("")
    (tmp_path / "result.json").write_text('{"schema": 1, "status": "running", "method": "darts", "dataset": "digits"}')
    assert "darts on digits" in read(write_report(tmp_path, {})).text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("result.json", None),
        ("result.json", "{"),
        ("result.json", "[]"),
        ("result.json", '{"status": "done"}'),
        ("result.json", '{"status": "done", "method": "m", "dataset": "d", "networks": [3]}'),
        ("result.json", '{"status": "done", "method": "m", "dataset": "d", "networks": [{"id": "a"}]}'),
        ("recipe.toml", None),
        ("recipe.toml", "a = "),
    ],
)
def test_a_missing_or_damaged_file_is_named(tmp_path, result, recipe, write_run, name, content):
    folder = write_run(tmp_path, result, steps=1)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(InputError, match=name):
        write_report(folder, {})
    assert not (folder / "report.html").exists()


def test_numbers_that_are_none_count_as_unmeasured(tmp_path, result, write_run):
    result["networks"][0]["test_error"] = None
    folder = write_run(tmp_path, result, steps=2)
    (folder / "events.jsonl").write_text(
        json.dumps({"event": "step", "phase": "search", "step": 1, "loss": float("nan")}) + "\n"
    )
    assert "not finished" in read(write_report(folder, {})).text


def test_a_single_pair_has_no_standard_error(tmp_path, result, write_run):
    found, random = result["networks"] = result["networks"][2:4]
    result["front"] = [found["id"]]
    gain = 100 * (random["test_error"] - found["test_error"])
    text = read(write_report(write_run(tmp_path, result, steps=0), {})).text
    assert f"{gain:.2f} percentage points (no standard error from a single pair, n = 1 matched pair) lower" in text


def test_errors_looked_up_in_a_table_say_so(tmp_path, result, write_run):
    result["networks"][0]["source"] = "table"
    outline = read(write_report(write_run(tmp_path, result, steps=0), {}))
    assert "errors from" in outline.rows[0]
    assert [row[4] for row in outline.rows[1:3]] == ["table", "trained"]
