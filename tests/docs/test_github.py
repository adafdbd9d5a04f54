"""What GitHub reads can be read, and asks for what exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_yaml_can_be_read(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_sessions_that_exist(path):
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.M)
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    asked = []
    for job in workflow["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        asked += [*matrix.get("session", ()), *(row["session"] for row in matrix.get("include", ()))]
        commands = [step.get("run", "") for step in job.get("steps", ())]
        asked += re.findall(r"nox -s (\w+)", "\n".join(commands))
        if called := job.get("uses"):
            assert (ROOT / called).is_file()

    assert set(asked) <= set(sessions)
    assert asked or path.name == "publish.yml"


def test_every_package_that_is_published_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    members = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "plugins").iterdir()) if path.is_dir()]
    packages = re.search(r"^PACKAGES = \((.*?)^\)", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.M | re.S)

    assert project["tool"]["uv"]["workspace"]["members"] == ["plugins/*"]
    assert packages is not None
    assert sorted(re.findall(r'"(.*?)"', packages[1])) == sorted([".", *members])
