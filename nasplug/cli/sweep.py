"""`nasplug sweep`: several methods over several seeds, each combination a run of its own, then their comparison."""

from __future__ import annotations

import re
import shlex
import traceback
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from nasplug.cli.compare import show_comparison
from nasplug.cli.dry_run import estimate_seconds, format_duration
from nasplug.cli.failure import explain
from nasplug.cli.output import echo
from nasplug.cli.run_options import read_run_options, run_options
from nasplug.cli.tables import write_rows
from nasplug.cli.typed_words import typed_words
from nasplug.compose import build_executor, parse_setting, recipe_sections
from nasplug.errors import InputError, NasplugError, RunFailure, quote
from nasplug.plugins import Plugins, load_plugins
from nasplug.runs.create import start
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.memory import keep_freed_memory
from nasplug.runs.same_run import adopt_machine_options, asked_of_machine
from nasplug.runs.signals import EXIT_CODES, Signals
from nasplug.runs.sweep import SweepRun, carry_out, carry_out_by_executor, plan_sweep
from nasplug.store.run_state import read_run_state
from nasplug.ui import PrintableConsole, show_progress
from nasplug.values.recipe import EXECUTOR, Recipe

SEEDS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
"""A seed, or a first and a last one."""
MOST_RUNS = 1000
"""Seeds in a range, and runs of a sweep."""
PAGE = "compare.html"
Axes = tuple[Sequence[str], Sequence[str | None], Sequence[int]]
"""Methods, spaces and seeds."""
Asked = Mapping[str, Collection[str]]
"""By section, the options of the machine that are asked for; runs that are under way change to these."""


@click.command()
@click.option("--methods", required=True, metavar="NAME,...", help="Methods, with commas between them.")
@click.option("--spaces", metavar="NAME,...", help="Search spaces, each with every method.  [default: the methods']")
@click.option("--seeds", default="0-4", show_default=True, metavar="N-M,...", help="Seeds and ranges of seeds.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the runs, each in METHOD-SEED in it."
)
@run_options(leave_out=("method", "space", "seed"))
@click.option("--dry-run", is_flag=True, help="Print what would be done, and an estimate of its time; no run.")
def sweep(methods: str, spaces: str | None, seeds: str, out: Path, dry_run: bool, **options: Any) -> None:
    """Run every method with every seed, and compare them.

    All other options are those of `nasplug run`, for all runs. Finished runs are not repeated: the same command goes on
    with a sweep that was stopped, and more seeds or methods add to it. Every run is a process of its own and a folder
    of its own, `OUT/METHOD-SEED` (`OUT/METHOD-SPACE-SEED` with `--spaces`); one that fails is named at the end, and the
    others go on. The comparison is that of `nasplug compare`, of the finished runs, with the page `OUT/compare.html`.
    Runs that go on do so with the options of the machine that are asked for now, such as `--jobs`.

    With `--executor`, whole runs are what it carries out, `--jobs` of them at a time; each trains one network after the
    other. Without, there is one run after the other, each with `--jobs` retrainings at a time.
    """
    plugins = load_plugins()
    axes = (read_names("methods", methods), read_names("spaces", spaces) if spaces else [None], read_seeds(seeds))
    recipe = None
    if options["executor"] is not None:
        recipe, options = _split_executor(plugins, axes, options)
    runs = plan_sweep(plugins, _resolve_recipes(plugins, out, axes, options))
    if dry_run:
        _write_plan(plugins, runs)
        return
    asked = asked_of_machine(read_run_options(plugins, **options))
    signals = click.get_current_context().obj or Signals()
    with signals.watching():
        if recipe is None:
            failed = _complete_one_by_one(plugins, runs, asked, signals)
        else:
            failed = _complete_together(plugins, recipe, out, runs, asked, signals)
    _write_comparison(runs, out)
    if failed:
        raise RunFailure(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}. Their errors "
            f"are above; the same command tries them again: {_same_command()}"
        )


def read_names(axis: str, text: str) -> list[str]:
    """Names with commas between them; InputError if there is none, or one is named twice."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--{axis} takes names with commas between them, but got {quote(text)}.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"--{axis} names {quote(twice[0])} twice; a run counts once.")
    return names


def read_seeds(text: str) -> list[int]:
    """Seeds, such as those of "0-4" or "0,3,10-12"; InputError for other text, or if one is named twice."""
    seeds: list[int] = []
    for word in text.split(","):
        match = SEEDS.fullmatch(word.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not 0 <= last - first < MOST_RUNS:
            raise InputError(
                f"--seeds takes seeds and ranges of at most {MOST_RUNS} seeds, such as 0-4 or 0,3,10-12, but got "
                f"{quote(word.strip() or text)}."
            )
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed, count in Counter(seeds).items() if count > 1)
        raise InputError(f"--seeds names {twice} twice; a run counts once.")
    return seeds


def _resolve_recipes(
    plugins: Plugins,
    out: Path,
    axes: Axes,
    options: Mapping[str, Any],
) -> dict[Path, Recipe]:
    """The recipe of every combination by its folder: all combinations of a seed, then those of the next one."""
    methods, spaces, seeds = axes
    if (count := len(methods) * len(spaces) * len(seeds)) > MOST_RUNS:
        raise InputError(f"This sweep would have {count:,} runs; it can have {MOST_RUNS:,}: name fewer seeds.")
    recipes: dict[Path, Recipe] = {}
    for seed in seeds:
        for method in methods:
            for space in spaces:
                layers = read_run_options(plugins, **options, method=method, space=space, seed=seed)
                recipe = resolve_recipe(plugins, layers)
                _check_axes(recipe, method, space, seed)
                folder = out / "-".join(_file_name(str(word)) for word in (method, space, seed) if word is not None)
                if folder in recipes:
                    raise InputError(f"Two runs of this sweep would have the folder {quote(folder)}; sweep them apart.")
                recipes[folder] = recipe
    return recipes


def _check_axes(recipe: Recipe, method: str, space: str | None, seed: int) -> None:
    """Raises InputError if --set replaces what the sweep is over."""
    for flag, setting, asked, found in (
        ("--methods", "run.method", method, recipe.run.method),
        ("--spaces", "space.part", space, recipe.parts["space"].name),
        ("--seeds", "run.seed", seed, recipe.run.seed),
    ):
        if asked is not None and found != asked:
            raise InputError(f"--set {setting}={found} replaces what {flag} asks for; leave it out.")


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.+-]", "-", name)


def _split_executor(plugins: Plugins, axes: Axes, options: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """A recipe that names the executor of the sweep, and the options of its runs, which train one network at a time.

    Threads that are not asked for are those that the executor has for each run.
    """
    (method, *_), (space, *_), (seed, *_) = axes
    layers = read_run_options(plugins, **options, method=method, space=space, seed=seed)
    recipe = resolve_recipe(plugins, layers)
    executor = build_executor(plugins, recipe)
    executor.check()
    known = recipe_sections(plugins)
    parsed = [(text, parse_setting(text, known)) for text in options["settings"]]
    settings = [
        text for text, (section, name, _) in parsed if section != EXECUTOR and (section, name) != ("run", "jobs")
    ]
    threads = executor.threads if options["threads"] is None else options["threads"]
    return recipe, {**options, "executor": None, "settings": settings, "jobs": 1, "threads": threads}


def _complete_one_by_one(plugins: Plugins, runs: Sequence[SweepRun], asked: Asked, signals: Signals) -> list[str]:
    """Carries out one run after the other, each in a process of its own; returns the names of those that failed."""
    failed: list[str] = []
    for number, run in enumerate(runs, start=1):
        if run.status != "finished" and not _complete(plugins, run, asked, f"Run {number} of {len(runs)}", signals):
            failed.append(run.folder.name)
        if signals():
            raise signals.interrupted(_same_command())
    return failed


def _complete_together(
    plugins: Plugins, recipe: Recipe, out: Path, runs: Sequence[SweepRun], asked: Asked, signals: Signals
) -> list[str]:
    """Carries out all runs by the executor of `recipe`; returns the names of those that failed."""
    failed: list[str] = []

    def add(name: str, error: NasplugError) -> None:
        echo(f"Error in {name}: {error}", err=True)
        failed.append(name)

    ready: list[Path] = []
    for run in runs:
        if run.status == "finished" or signals():
            continue
        if _prepare(plugins, run, asked):
            ready.append(run.folder)
        else:
            failed.append(run.folder.name)
    if ready and not signals():
        show_progress(
            carry_out_by_executor(plugins, recipe, out, ready, signals, _same_command(), add), PrintableConsole()
        )
    if signals():
        raise signals.interrupted(_same_command())
    return failed


def _complete(plugins: Plugins, run: SweepRun, asked: Asked, which: str, signals: Signals) -> bool:
    """Starts a run or goes on with it; returns whether it is done."""
    how = "starts" if run.status == "new" else "goes on"
    echo(f"\n{which} {how}: {run.folder}\n")
    if not _prepare(plugins, run, asked):
        return False
    code = carry_out(run.folder, signals)
    if code != 0 and code not in EXIT_CODES.values():
        echo(f"The run {quote(run.folder)} ended with code {code}.", err=True)
    return code == 0


def _prepare(plugins: Plugins, run: SweepRun, asked: Asked) -> bool:
    """Starts a new run, or changes one that goes on to the machine that is asked for; returns whether it can go on."""
    try:
        if run.status == "new":
            start(run.folder, plugins, run.recipe, typed_words())
        else:
            adopt_machine_options(plugins, run.folder, run.recipe, asked)
    except NasplugError as error:
        echo(f"Error: {error}", err=True)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:  # such as of the code of a plugin, which the other runs may not use
        sentence = explain(error, plugins)
        echo(traceback.format_exc().rstrip() if sentence is None else f"Error: {sentence}", err=True)
    else:
        return True
    return False


def _same_command() -> str:
    return shlex.join(typed_words())


def _write_comparison(runs: Sequence[SweepRun], out: Path) -> None:
    """Compares the runs that are finished, if there are any: what the others have left may be damaged."""
    folders = [run.folder for run in runs if read_run_state(run.folder).state == "done"]
    if folders:
        echo()
        show_comparison(folders, out / PAGE)


def _write_plan(plugins: Plugins, runs: Sequence[SweepRun]) -> None:
    """Prints the runs, and on stderr what those that are not finished take, from one run of each method and space."""
    write_rows(
        ["run", "method", "space", "seed", "status"],
        [
            [run.folder, run.recipe.run.method, run.recipe.parts["space"].name, run.recipe.run.seed, run.status]
            for run in runs
        ],
    )
    left = [run for run in runs if run.status != "finished"]
    kinds: dict[tuple[str, str], list[SweepRun]] = {}
    for run in left:
        kinds.setdefault((run.recipe.run.method, run.recipe.parts["space"].name), []).append(run)
    if not kinds:
        echo("\nAll runs are finished.", err=True)
        return
    echo("\nMeasuring a few steps of each phase of one run of each method ...\n", err=True)
    keep_freed_memory()
    total, rows = 0.0, []
    for (method, space), alike in kinds.items():
        seconds = estimate_seconds(plugins, alike[0].recipe)
        total += seconds * len(alike)
        rows.append([method, space, len(alike), format_duration(seconds), format_duration(seconds * len(alike))])
    write_rows(["method", "space", "runs", "time of one", "time"], rows, err=True)
    stopped = " Runs that were stopped are counted whole." if any(run.status == "stopped" for run in left) else ""
    echo(f"\nAbout {format_duration(total)} of training, as far as these steps tell.{stopped}", err=True)
