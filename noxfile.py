from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import Queue

import nox

nox.needs_version = ">=2024.10.9"
# `uv run nox` runs in an environment that has everything; another one would cost minutes and gigabytes.
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests", "runs", "docs", "wheels"]

PACKAGES = (
    ".",
    "plugins/nasplug-snps",
    "plugins/nasplug-dnad",
    "plugins/nasplug-sd-darts",
    "plugins/nasplug-dna",
    "plugins/nasplug-mlflow",
    "plugins/nasplug-wandb",
    "plugins/nasplug-ray",
    "plugins/nasplug-slurm",
)
"""The workspace. Observers for trackers and executors for clusters are not in the environment of development."""
EVERY_PACKAGE = (
    *PACKAGES,
    "examples/nasplug-darts-pt",
    "examples/nasplug-energy",
    "examples/nasplug-gdas",
    "examples/nasplug-pcdarts",
    "examples/nasplug-pdarts",
    "examples/nasplug-tensorboard",
)
"""With the examples, which are not members of the workspace."""
CHECKED_BEFORE = ("nasplug-snps", "nasplug-dnad", "nasplug-sd-darts", "nasplug-dna")
"""Packages whose contract the sessions `tests` and `runs` check, as that of the core: not once more as wheels."""
METHODS = {
    "nasplug-energy": "darts",
    "nasplug-mlflow": "darts",
    "nasplug-pcdarts": "pc-darts",
    "nasplug-pdarts": "p-darts",
    "nasplug-ray": "darts",
    "nasplug-slurm": "darts",
    "nasplug-tensorboard": "darts",
    "nasplug-wandb": "darts",
}
"""The methods with which packages are tried that register none of their own name."""
ROOT = Path(__file__).parent.resolve()


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and the rules of which module may import which."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")  # its cache misses that a missing module has been written


@nox.session
def types(session: nox.Session) -> None:
    """Type checks of the core and the plugins."""
    session.run("mypy")
    session.run("mypy", *map(str, sorted(Path("tests/benchmarks").glob("*.py"))))


@nox.session
def tests(session: nox.Session) -> None:
    """The tests of the core and of every plugin; arguments after `--` go to pytest."""
    run_pytest(session, "not slow and not full and not matrix")


@nox.session
def runs(session: nox.Session) -> None:
    """The tests that take seconds each: whole runs, contracts of parts, exports; arguments after `--` go to pytest."""
    run_pytest(session, "slow and not full and not matrix")


def run_pytest(session: nox.Session, marks: str) -> None:
    """Runs the tests that the expression `marks` selects, on two workers.

    If arguments after `--` choose tests of which none is selected, that is no failure.
    """
    # NASPLUG_STRICT: a broken plugin fails a test run instead of being skipped. One thread for each worker, so that
    # they do not compete. Many tests start processes: without .pyc files each of them would compile the modules of
    # torch again, which takes longer than most tests.
    settings = {"NASPLUG_STRICT": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    codes = [0, 5] if session.posargs else [0]
    arguments = ("-n", "2", "--dist", "worksteal", "-m", marks, *session.posargs)
    session.run("pytest", *arguments, env=settings, success_codes=codes)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, in docs/_build; a warning is an error."""
    session.run("sphinx-build", "-W", "--keep-going", "--fresh-env", "-b", "html", "docs", "docs/_build")


@nox.session(venv_backend="uv", default=False)
def minimums(session: nox.Session) -> None:
    """The tests on the lowest versions that the packages declare; arguments after `--` go to pytest."""
    run_on_versions(session, "lowest-direct")


@nox.session(venv_backend="uv", default=False)
def newest(session: nox.Session) -> None:
    """The tests on the newest versions of everything; arguments after `--` go to pytest."""
    run_on_versions(session, "highest")


def run_on_versions(session: nox.Session, resolution: str) -> None:
    """Installs the workspace into an environment of its own, with versions by this rule of uv, and runs the tests."""
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    tools = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "dev")
    # A release of ExecuTorch goes with one of torch, and wants newer packages than the lowest ones.
    left_out = ("nasplug", "executorch", "torchao") if resolution == "lowest-direct" else ("nasplug",)
    tools = [tool for tool in tools if not tool.startswith(left_out)]
    # Without --no-config, uv would apply the constraints of pyproject.toml, which pin the known-good versions.
    session.install("--no-config", f"--resolution={resolution}", *editable, *tools)
    run_pytest(session, "not full and not matrix")


@nox.session
def wheels(session: nox.Session) -> None:
    """Builds a wheel of every package, and tests each in an empty environment without the checkout.

    A package is tested by its own tests, the contract checks of its parts unless other sessions make them, and its
    method. Arguments after `--` are the packages to test, such as nasplug-snps.
    """
    uv = os.environ.get("UV", "uv")  # set by `uv run`, also where uv itself is on no path
    work = Path(session.cache_dir, "wheels").resolve()
    shutil.rmtree(work / "dist", ignore_errors=True)
    folders = {nox.project.load_toml(f"{folder}/pyproject.toml")["project"]["name"]: folder for folder in EVERY_PACKAGE}
    for folder in folders.values():
        session.run(uv, "build", "--wheel", "--quiet", "--out-dir", str(work / "dist"), folder, external=True)
    # A requirement on one of these packages is met by the wheel built here, even if an index offers a newer one.
    built = {wheel.name.partition("-")[0].replace("_", "-"): wheel.as_uri() for wheel in (work / "dist").glob("*.whl")}
    (work / "built.txt").write_text("".join(f"{name} @ {address}\n" for name, address in built.items()))
    if unknown := set(session.posargs) - set(folders):
        session.error(f"There is no package {', '.join(sorted(unknown))} here; there are {', '.join(folders)}.")
    names = session.posargs or [*folders]
    lanes: Queue[int] = Queue()
    lanes.put(1)
    lanes.put(2)

    def test(name: str) -> str:
        lane, started = lanes.get(), time.monotonic()
        try:
            _test_wheel(uv, name, Path(folders[name]), work, work / f"environment-{lane}")
        finally:
            lanes.put(lane)
        return f"{name}: {time.monotonic() - started:.0f} s"

    with ThreadPoolExecutor(2) as pool:  # a package keeps one core busy
        tests = [pool.submit(test, name) for name in names]
        for done in as_completed(tests):
            if error := done.exception():
                pool.shutdown(cancel_futures=True)
                session.error(str(error))
            session.log(done.result())


def _test_wheel(uv: str, name: str, folder: Path, work: Path, environment: Path) -> None:
    """Tests one package in an environment of its own; raises RuntimeError with what a program printed that failed."""
    # Environments are made at two paths, again and again. uv links files from its cache, so that one takes two seconds
    # and hardly any disk; and the .pyc files, which PYTHONPYCACHEPREFIX keeps by path, serve the next one too, which
    # need not compile the modules of torch again.
    programs = environment / "bin"
    settings = {
        "NASPLUG_STRICT": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPATH": "",
        "PYTHONPYCACHEPREFIX": str(work / "bytecode"),
    }

    def run(program: Path | str, *arguments: str, folder: Path = ROOT) -> None:
        done = subprocess.run(  # noqa: S603 - of this file
            [program, *arguments],
            cwd=folder,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {program} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")

    project = nox.project.load_toml(folder / "pyproject.toml")
    tests = nox.project.dependency_groups(project, "test") if "test" in project.get("dependency-groups", {}) else []
    run(uv, "venv", "--clear", "--quiet", "--python", sys.executable, str(environment))
    target = ("--python", str(programs / "python"))
    constraints = ("--constraints", str(work / "built.txt"))
    run(uv, "pip", "install", "--quiet", *target, *constraints, name, *(tests or ["pytest"]))
    run(uv, "pip", "check", "--quiet", *target)

    with tempfile.TemporaryDirectory() as temporary:
        empty = Path(temporary)
        if name == "nasplug":
            # Its own tests, contract checks among them, need the whole checkout: `tests` and `runs` run them.
            short = ("--epochs", "1", "--set", "retrain.epochs=1", "--set", "select.networks=1", "--jobs", "2")
            search = ("run", "--method", "darts", "--preset", "tiny", *short, "--out", "run")
            run(programs / "nasplug", *search, folder=empty)
        else:
            shutil.copytree(ROOT / folder / "tests", empty / "tests")
            shutil.copy(ROOT / folder / "pyproject.toml", empty)  # has the settings of pytest
            # With all that `nasplug check` checks, in test_contract.py.
            skipped = ("--ignore", "tests/test_contract.py") if name in CHECKED_BEFORE else ()
            run(programs / "pytest", "-q", "-p", "no:cacheprovider", *skipped, folder=empty)
            method = METHODS.get(name, name.removeprefix("nasplug-"))
            run(programs / "nasplug", "run", "--dry-run", "--method", method, "--preset", "tiny", folder=empty)
    shutil.rmtree(environment)
