"""Every code block of the documentation does what it says; see `documentation` for the rules."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from documentation.blocks import blocks_of
from documentation.workspace import SMALL, Workspace
from torchvision.transforms.functional import to_pil_image

import nasplug
from nasplug.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATTERNS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "plugins/*/README.md", "examples/*/README.md")
PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern) if "_build" not in path.parts)


@pytest.fixture
def workspace(tmp_path: Path, few_images: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    before = set(sys.modules)
    threads = torch.get_num_threads()
    yield Workspace(tmp_path, few_images, monkeypatch)
    torch.set_num_threads(threads)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def small_run(few_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with two small networks, made without a search."""
    path = tmp_path_factory.mktemp("documentation") / "run"
    sizes = {"space.cells": 1, "space.channels": 2, "retrain.channels": 2, "retrain.cells": 1, "optimizer.samples": 2}
    settings = SMALL | sizes | {"select.networks": 2, "run.jobs": 1, "run.threads": 1}
    words = ["run", "--method", "random", "--space", "nb201", "--preset", "tiny", "--data", f"arrays:{few_images}"]
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = CliRunner().invoke(main, [*words, "--out", str(path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_do_what_they_say(page: Path, workspace: Workspace, request: pytest.FixtureRequest):
    blocks = blocks_of(page)
    if not any("search" in block.marks for block in blocks):
        supply(workspace, "\n".join(block.text for block in blocks), request)

    for block in blocks:
        workspace.carry_out(block)


def supply(workspace: Workspace, text: str, request: pytest.FixtureRequest) -> None:
    """What a page takes for granted: the runs and image files that it speaks of, and `images` in Python."""
    for run in {re.sub(r"\*|\$\w+", "0", each) for each in re.findall(r"runs/[\w$*-]+", text)}:
        finished = request.getfixturevalue("small_run")
        shutil.copytree(finished, run)
        workspace.stand_ins["7fb6"] = nasplug.load(run).best().id[:6]
    if "=FILE" in text:
        Path("FILE").touch()
    pixels = torch.randint(0, 256, (4, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    workspace.names["images"] = pixels.permute(0, 3, 1, 2)
    for name in re.findall(r"[\w/*]+\.(?:jpg|png)", text):
        path = Path(name.replace("*", "one"))
        path.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image(pixels[0].permute(2, 0, 1)).resize((64, 48)).save(path)
