"""The end of a run: the result first, then the report."""

from __future__ import annotations

from nasplug.runs.pipeline import REPORT_FAILURE, report_or_say, write_run_report
from nasplug.store.run_folder import RunFolder


def test_a_report_that_fails_leaves_a_note_until_it_succeeds(tmp_path, monkeypatch, capsys):
    folder = RunFolder(tmp_path / "my run")
    folder.path.mkdir()
    folder.write_result({"status": "done", "notes": ["Of old."]})

    def fail(*_):
        raise ZeroDivisionError("no colours")

    monkeypatch.setattr("nasplug.report.write_report", fail)
    monkeypatch.setattr(RunFolder, "recipe_layer", lambda self: {"space": {"part": "darts"}})
    monkeypatch.setattr("nasplug.runs.pipeline.space_of", lambda *_: None)
    for _ in range(2):
        report_or_say(folder, None)

    sentence = f"{REPORT_FAILURE} (ZeroDivisionError: no colours); write it with: nasplug report '{folder.path}'"
    assert capsys.readouterr().err == f"{sentence}\n" * 2
    assert folder.result()["notes"] == ["Of old.", sentence]

    monkeypatch.setattr("nasplug.report.write_report", lambda path, _: path / "report.html")
    assert write_run_report(folder, None) == folder.path / "report.html"
    assert folder.result()["notes"] == ["Of old."]
