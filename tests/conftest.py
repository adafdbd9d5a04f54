"""What the tests of whole runs share: the command line as a user calls it, few images, and one finished run."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner, Result
from filelock import FileLock
from safetensors.torch import save_file

from nasplug.cli import main

TINY = ("run", "--method", "dnad", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--seed", "7")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the finished run come first: one worker makes it, and no other one waits for it."""
    items.sort(key=lambda item: "finished_run" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Maps as small as in these tests are many times slower with threads that compete with other processes.

    It is set before any other fixture: with another number of threads, the last digit of a loss may differ.
    """
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def programs_can_be_stopped():
    """The programs that tests start inherit what nohup, or the background of a shell, has ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def still_one_thread(one_thread):
    """Runs in this process set the number of threads that their recipe asks for."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache_of_tests(tmp_path_factory: pytest.TempPathFactory):
    """What is measured for later runs is kept for these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASPLUG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class CommandLine:
    """Runs `nasplug` in a process of its own."""

    @staticmethod
    def arguments(*words: object) -> list[str]:
        return [sys.executable, "-m", "nasplug", *map(str, words)]

    def start(self, *words: object, **options: object) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.arguments(*words), **streams, **options)

    def __call__(self, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.arguments(*words), capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="session")
def nasplug() -> CommandLine:
    return CommandLine()


def call(*words: object) -> Result:
    """`nasplug` with these words in this process, where torch is imported already."""
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture(scope="session")
def here():
    return call


@pytest.fixture(scope="session")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty images of 8x8 pixels in four classes: for tests in which it does not matter what is learnt."""
    path = tmp_path_factory.mktemp("images") / "images.safetensors"
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (80, 8, 8, 1), dtype=torch.uint8, generator=generator)
    save_file({"images": pixels, "labels": torch.arange(80) % 4}, path)
    return path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One whole run of `dnad` with the preset `tiny`, made once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    path = shared / "finished"
    with FileLock(shared / "finished.lock"):
        if not path.exists():
            draft = shared / "unfinished"
            threads = torch.get_num_threads()
            done = call(*TINY, "--out", draft)
            torch.set_num_threads(threads)
            assert done.exit_code == 0, done.output
            draft.rename(path)
    return path


def load_module(path: Path) -> ModuleType:
    """The module in this file, which no package holds."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def layered() -> ModuleType:
    """The module `layered.py` beside this one: a small search space in layers."""
    return load_module(Path(__file__).with_name("layered.py"))


@pytest.fixture(scope="session")
def specification() -> ModuleType:
    """The controller of SNPS in plain numbers."""
    return load_module(Path(__file__).parents[1] / "plugins" / "nasplug-snps" / "tests" / "specification.py")
