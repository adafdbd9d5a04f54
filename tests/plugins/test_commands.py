"""`nasplug plugins` and `nasplug doctor`, in environments that are well and in others."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from types import SimpleNamespace

import pytest

from nasplug.cli import health, optional

GOOD = "@hookimpl\ndef nasplug_register(register):\n    register.space('toy', 'a:B', summary='A toy.')\n"
SOUND = GOOD.replace("a:B", "nasplug.builtin.darts:Darts")


def test_plugins_are_listed_with_status_range_and_remedy(install, here):
    install("toy-good", GOOD, requires=["nasplug>=0.0.1"])
    install("toy-watch", "@hookimpl\ndef nasplug_event(event):\n    pass")
    install("toy-bad", "import no_such_module")
    install("toy-old", GOOD, requires=["nasplug<0.0.2"])
    install("toy-rival", GOOD)

    result = here("plugins", "--json", "--without", "toy-watch")

    rows = {row["distribution"]: row for row in json.loads(result.stdout)}
    assert result.stderr == ""
    assert rows["toy-good"] == {
        "distribution": "toy-good",
        "version": "1.0",
        "name": "toy-good",
        "status": "active",
        "supports": ">=0.0.1",
        "hooks": ["nasplug_register"],
        "registers": [{"slot": "space", "name": "toy"}],
        "path": None,
        "conflicts": [{"slot": "space", "name": "toy", "choices": ["toy-good:toy", "toy-rival:toy"]}],
        "reason": "",
        "remedy": "",
    }
    assert {name: rows[name]["status"] for name in ("toy-watch", "toy-bad", "toy-old", "nasplug")} == {
        "toy-watch": "disabled",
        "toy-bad": "broken",
        "toy-old": "broken",
        "nasplug": "active",
    }
    assert all(row["reason"] and row["remedy"] for row in rows.values() if row["status"] == "broken")
    table = here("plugins").stdout
    assert "toy-bad 1.0 is broken. ModuleNotFoundError: No module named 'no_such_module' (toy_bad_hooks.py, " in table
    assert "observes events" in table
    assert "choose one as toy-good:toy or toy-rival:toy." in table


def test_a_strict_listing_fails_for_what_is_broken(install, here, monkeypatch):
    install("toy-bad", "import no_such_module")
    monkeypatch.setenv("NASPLUG_STRICT", "1")

    result = here("plugins")

    assert result.exit_code == 2
    assert "toy-bad 1.0 is broken" in result.stdout
    assert "Plugin 'toy-bad' of toy-bad 1.0 cannot be used" in result.stderr


def test_a_machine_that_is_well_has_no_problem(here):
    result = here("doctor", "--json")

    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert {"Python", "torch", "torchvision", "CPU", "precision", "disk", "plugin nasplug-dnad"} <= set(findings)
    assert all(finding["health"] != "problem" for finding in findings.values())
    assert findings["torch"]["found"] == metadata.version("torch")


def test_every_problem_has_a_remedy(install, here, monkeypatch):
    install("toy-bad", "import no_such_module")
    install("toy-poor", SOUND, requires=["no-such-package>=2", "attrs>=999", "pytest; extra == 'test'"])
    install("toy-rival", SOUND)
    install("toy-empty", GOOD.replace("'toy', 'a:B'", "'hollow', 'no_such_module:B'"))
    monkeypatch.setenv("NASPLUG_STRICT", "1")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))

    result = here("doctor", "--json")

    findings = json.loads(result.stdout)
    problems = {finding["subject"]: finding for finding in findings if finding["health"] == "problem"}
    assert result.exit_code == 1
    assert set(problems) == {"plugin toy-bad", "no-such-package", "attrs", "disk", "space hollow"}
    assert all(finding["remedy"] for finding in problems.values())
    assert problems["attrs"]["remedy"] == "pip install 'attrs>=999', which toy-poor needs"
    assert any(finding["subject"] == "names" and "toy-rival:toy" in finding["found"] for finding in findings)
    assert "PROBLEM plugin toy-bad" in here("doctor").stdout


@pytest.mark.parametrize(
    ("driver", "built", "expected"),
    [
        (None, "12.8", ("note", "no NVIDIA driver")),
        ("/bin/nvidia-smi", "12.8", ("problem", "there is a driver")),
        (None, None, ("note", "built without it")),
    ],
)
def test_a_gpu_that_cannot_be_used_is_explained(monkeypatch, driver, built, expected):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(shutil, "which", lambda _: driver)

    cuda = next(finding for finding in health._check_device() if finding.subject == "CUDA")

    assert (cuda.health, expected[1] in cuda.found) == (expected[0], True)


def test_gpus_are_named_with_memory_and_precision(monkeypatch):
    import torch

    gpu = SimpleNamespace(name="Toy GPU", total_memory=16 * 2**30, major=7, minor=5)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)

    findings = {finding.subject: finding for finding in health._check_device()}

    assert findings["cuda:0"].found == "Toy GPU, 16 GiB, compute capability 7.5"
    assert (findings["precision"].health, "float32" in findings["precision"].remedy) == ("note", True)


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Installs libraries that break as soon as they are imported."""

    def install_broken(*names: str) -> None:
        for name in names:
            info = tmp_path / f"{name.replace('-', '_')}-9.8.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.8\n")
            (tmp_path / f"{name.replace('-', '_')}.py").write_text("raise SystemExit('imported')")

    monkeypatch.syspath_prepend(str(tmp_path))
    return install_broken


def test_what_is_there_beyond_one_process_is_named_without_importing_it(libraries, monkeypatch):
    libraries("ray", "nasplug-ray", "submitit", "nasplug-slurm", "mlflow", "nasplug-mlflow", "wandb", "nasplug-wandb")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")

    findings = {finding.subject: finding for finding in optional.examine_optional()}

    assert all(finding.health == "ok" and not finding.remedy for finding in findings.values())
    assert findings["Ray"].found == "ray 9.8, nasplug-ray 9.8"
    assert findings["SLURM"].found == "submitit 9.8, nasplug-slurm 9.8, sbatch is on the path"
    assert findings["MLflow"].found == "mlflow 9.8, nasplug-mlflow 9.8"
    assert findings["W&B"].found == "wandb 9.8, nasplug-wandb 9.8"


def test_what_is_not_there_is_optional_and_said_to_be_for_something(libraries, monkeypatch):
    libraries("ray")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(optional, "find_version", lambda name: "9.8" if name == "ray" else None)

    findings = {finding.subject: finding for finding in optional.examine_optional()}

    missing = [findings[name] for name in ("Ray", "SLURM", "MLflow", "W&B")]
    assert all(finding.health == "note" and finding.remedy.startswith("Optional, for ") for finding in missing)
    assert findings["Ray"].found == "ray 9.8, not installed: nasplug-ray"
    assert findings["Ray"].remedy.endswith("(--executor ray): pip install nasplug-ray")
    assert findings["SLURM"].found.endswith("sbatch is not on the path of this machine")


@pytest.mark.parametrize(
    ("gloo", "nccl", "devices", "health", "words"),
    [
        (True, False, 0, "ok", "gloo for CPUs, no NCCL for GPUs; 0 GPUs here"),
        (True, True, 8, "ok", "gloo for CPUs, NCCL for GPUs; 8 GPUs here"),
        (True, False, 2, "note", "gloo for CPUs, no NCCL for GPUs; 2 GPUs here"),
        (False, False, 0, "note", "this torch has no gloo"),
    ],
)
def test_back_ends_of_torchrun_are_named(monkeypatch, gloo, nccl, devices, health, words):
    import torch

    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: gloo)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)

    finding = next(iter(optional.examine_optional()))

    assert (finding.subject, finding.health, finding.found) == ("torchrun", health, words)


def test_a_path_that_names_no_plugin_is_a_finding(here, monkeypatch, tmp_path):
    monkeypatch.setenv("NASPLUG_PLUGIN", str(tmp_path / "missing.py"))

    findings = {finding["subject"]: finding for finding in json.loads(here("doctor", "--json").stdout)}

    assert findings["plugin paths"]["health"] == "problem"
    assert findings["plugin nasplug"]["health"] == "ok"


def test_what_a_plugin_prints_does_not_spoil_the_output(install, here):
    install("toy-loud", f"print('hello')\n{GOOD}    print('again')\n")

    result = here("plugins", "--json")

    assert "toy-loud" in {row["distribution"] for row in json.loads(result.stdout)}
    assert result.stderr == "hello\nagain\n"
