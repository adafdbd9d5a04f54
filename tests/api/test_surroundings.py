"""A run where the system or the program around it lacks something."""

from __future__ import annotations

import importlib.util
import signal
import sys

import pytest
import torch

from nasplug.errors import RunFailure
from nasplug.runs import training
from nasplug.runs.retrain import mean_last_loss
from nasplug.runs.signals import Signals
from nasplug.store.events import Journal, ignore_event


def test_handlers_that_were_not_installed_from_python_stay(monkeypatch):
    installed = []

    def install(number, handler):
        assert handler is not None
        installed.append(number)

    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGINT else signal.SIG_DFL)
    monkeypatch.setattr(signal, "signal", lambda number, handler: install(number, handler) or signal.SIG_DFL)
    with Signals().watching():
        assert installed == [signal.SIGTERM, signal.SIGHUP]
    assert installed == [signal.SIGTERM, signal.SIGHUP] * 2


def test_without_the_module_resource_peak_memory_is_unknown(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    spec = importlib.util.spec_from_file_location("nasplug.runs.elsewhere", training.__file__)
    elsewhere = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, elsewhere)
    spec.loader.exec_module(elsewhere)

    assert elsewhere.peak_memory(torch.device("cpu")) == 0
    monkeypatch.undo()
    assert training.peak_memory(torch.device("cpu")) > 10_000_000


def test_events_that_are_lost_in_mid_run_are_missed(tmp_path):
    journal = Journal(tmp_path / "events.jsonl", ignore_event)
    journal.append("search", {"event": "step", "loss": 2.0})
    assert mean_last_loss(journal, "search", 3) == 2
    journal.path.unlink()
    with pytest.raises(RunFailure, match="has lost its events"):
        mean_last_loss(journal, "search", 3)
