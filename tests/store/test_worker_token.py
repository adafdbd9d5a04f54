"""Work goes on as long as the word is there with which it began."""

from __future__ import annotations

import nasplug.store.worker_token
from nasplug.store.worker_token import FILE, WorkerToken


def test_work_goes_on_until_its_token_is_revoked(tmp_path, monkeypatch):
    monkeypatch.setattr(nasplug.store.worker_token, "POLL_SECONDS", 0.0)
    token = WorkerToken.issue(tmp_path)
    elsewhere = WorkerToken(tmp_path / FILE, token.word)
    assert elsewhere.is_valid()
    token.revoke()
    assert not elsewhere.is_valid()
    assert not token.is_valid()
    token.revoke()
    assert list(tmp_path.iterdir()) == []


def test_the_next_program_takes_over(tmp_path, monkeypatch):
    monkeypatch.setattr(nasplug.store.worker_token, "POLL_SECONDS", 0.0)
    first = WorkerToken.issue(tmp_path)
    left_behind = WorkerToken(tmp_path / FILE, first.word)
    second = WorkerToken.issue(tmp_path)
    assert not left_behind.is_valid()
    first.revoke()  # it must not stop the work of the other one
    assert second.is_valid()


def test_the_file_is_not_read_at_every_step(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    token = WorkerToken.issue(tmp_path)
    assert token.is_valid()
    token.revoke()
    now = 0.1
    assert token.is_valid()
    now = 0.3
    assert not token.is_valid()


def test_a_file_that_cannot_be_read_for_a_moment_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(nasplug.store.worker_token, "POLL_SECONDS", 0.0)
    token = WorkerToken.issue(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert token.is_valid()
