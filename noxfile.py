from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
# `uv run nox` has made an environment with everything in it; a second one would cost minutes and gigabytes.
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

PACKAGES = (".", "plugins/nasplug-snps", "plugins/nasplug-dnad", "plugins/nasplug-sd-darts", "plugins/nasplug-dna")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which module may import which."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")  # its cache misses that a missing module has been written


@nox.session
def types(session: nox.Session) -> None:
    """Type checks of the core and the plugins."""
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests of the core and of every plugin; arguments after `--` go to pytest."""
    # A broken plugin fails a test run instead of being skipped, and two workers do not fight over threads.
    settings = {"NASPLUG_STRICT": "1", "OMP_NUM_THREADS": "1"}
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs, env=settings)


@nox.session(venv_backend="uv", default=False)
def minimums(session: nox.Session) -> None:
    """The tests on the oldest versions that the packages declare."""
    editable = [argument for package in PACKAGES for argument in ("-e", package)]
    tools = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "dev")
    tools = [each for each in tools if not each.startswith("nasplug")]
    # The known-good versions of pyproject.toml must not apply here.
    session.install("--no-config", "--resolution=lowest-direct", *editable, *tools)
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs, env={"NASPLUG_STRICT": "1"})


@nox.session(venv_backend="uv", default=False)
@nox.parametrize("package", [Path(package).resolve().name if package != "." else "nasplug" for package in PACKAGES])
def wheels(session: nox.Session, package: str) -> None:
    """Builds every package, installs one with what it declares into an empty environment and composes its method."""
    folder = Path(session.create_tmp()).resolve()
    session.run("uv", "build", "--all-packages", "--wheel", "--out-dir", str(folder), "--quiet", external=True)
    session.install("--find-links", str(folder), package)
    session.chdir(folder)  # away from the checkout, so that only what was installed can be imported
    method = package.removeprefix("nasplug-") if package != "nasplug" else "darts"
    session.run("nasplug", "run", "--dry-run", "--method", method, "--preset", "tiny", env={"NASPLUG_STRICT": "1"})
