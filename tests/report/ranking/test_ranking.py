from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.errors import InputError
from nasplug.report.ranking import agreement_table, read_ranking, write_ranking_page
from nasplug.store.run_folder import RunFolder

ERRORS = {"aa": (0.1, 0.2), "bb": (0.2, 0.3), "cc": (0.4, 0.4), "dd": (0.3, 0.1)}
SCORES = {"alpha": {"aa": 1.0, "bb": 2.0, "cc": 3.0, "dd": 4.0}, "supernet": dict.fromkeys(ERRORS, 0.5)}


def sample(
    folder: Path, source: str = "trained", status: str = "done", scores: object = SCORES, errors: dict = ERRORS
) -> Path:
    networks = [
        {"id": name, "role": "found", "matched_to": None, "params": 10, "macs": 20, "source": source}
        | {"val_error": validation, "test_error": test}
        for name, (validation, test) in errors.items()
    ]
    result = {"schema": 1, "status": status, "method": "darts", "dataset": "digits", "seed": 0, "networks": networks}
    run = RunFolder(folder)
    run.write_result({**result, "front": [], "best": None, "splits": {"train": 5, "validation": 100, "test": 300}})
    run.finish("select", {"plans": [], "scores": scores})
    return folder


def test_errors_are_those_of_all_images_that_were_held_out(tmp_path):
    ranking = read_ranking(sample(tmp_path))
    assert ranking.errors == pytest.approx([(0.1 + 0.6) / 4, (0.2 + 0.9) / 4, 0.4, (0.3 + 0.3) / 4])
    assert ranking.images == 400
    assert ranking.noise() == pytest.approx((sum(e * (1 - e) for e in ranking.errors) / 4 / 400) ** 0.5)


def test_the_sentence_says_how_much_is_chance(tmp_path):
    # Their standard deviation is 11.3 points; that of an error near 25 % on 400 images is 2.1.
    sentence = read_ranking(sample(tmp_path)).describe()
    assert sentence.startswith("The errors of 4 networks are 15.00 % to 40.00 % on 400 held-out images.")
    assert (
        "standard deviation is 11.37 points; that of one error, by the choice of its images alone, is 2.11." in sentence
    )
    same = read_ranking(sample(tmp_path / "same", errors=dict.fromkeys(ERRORS, (0.25, 0.25)) | {"aa": (0.26, 0.26)}))
    assert "no score can predict it well" in same.describe()


def test_errors_of_a_table_are_its_test_errors(tmp_path):
    ranking = read_ranking(sample(tmp_path, source="table"))
    assert ranking.errors == pytest.approx([0.2, 0.3, 0.4, 0.1])
    assert ranking.noise() is None


def test_a_score_is_compared_with_the_errors(tmp_path):
    agreement = read_ranking(sample(tmp_path)).agreement("alpha")
    # Errors 0.175, 0.275, 0.4, 0.15 in the order of the scores: three of six pairs agree.
    assert agreement.kendall.value == pytest.approx(0)
    (first,) = agreement.regrets  # a regret of the best 5 of 4 there is not
    assert first.count == 1
    assert first.estimate.value == pytest.approx(0.175 - 0.15)
    assert first.of_random == pytest.approx((0.175 + 0.275 + 0.4 + 0.15) / 4 - 0.15)


def test_a_score_that_tells_nothing_apart_has_no_correlation_and_the_regret_of_chance(tmp_path):
    ranking = read_ranking(sample(tmp_path))
    agreement = ranking.agreement("supernet")
    assert agreement.kendall is None
    assert agreement.spearman is None
    assert agreement.regrets[0].estimate.value == pytest.approx(agreement.regrets[0].of_random)
    rows = agreement_table(ranking).rows
    assert rows[1][:3] == ["error in the supernet", "-", "-"]


def test_the_page_has_every_network_and_score(tmp_path):
    ranking = read_ranking(sample(tmp_path))
    write_ranking_page(ranking, tmp_path / "rank.html")
    text = (tmp_path / "rank.html").read_text()
    assert text.count("<svg") == 2
    assert all(f"<td>{name}</td>" in text for name in ERRORS)


def test_what_is_no_finished_sample_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not finished"):
        read_ranking(sample(tmp_path / "a", status="stopped"))
    with pytest.raises(InputError, match="holds no sample"):
        read_ranking(sample(tmp_path / "b", scores={"alpha": {"aa": 1.0}}))
