"""`nasplug check`: the contract without pytest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import click

from nasplug.cli.output import echo
from nasplug.errors import InputError, quote

WORDS = {"passed": "pass", "failed": "FAIL", "warned": "warn", "waived": "waived", "not applicable": "n/a"}


@click.command()
@click.argument("plugin", metavar="DIST_OR_PATH")
@click.option(
    "--waive", "waivers", multiple=True, metavar="CHECK=REASON", help="Let a check fail, for a reason. Repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def check(plugin: str, waivers: Sequence[str], as_json: bool) -> None:
    """Whether a plugin keeps the contract of its parts.

    DIST_OR_PATH is an installed distribution, the folder of a package or a single Python file. Prints a line for each
    check of each thing that it registers; the exit code is 1 if one fails.
    """
    from nasplug.testing.check_runner import CheckRunner
    from nasplug.testing.checked_package import open_package

    runner = CheckRunner(open_package(plugin), dict(map(_waiver, waivers)))
    outcomes = []
    for outcome in runner.outcomes():
        outcomes.append(outcome)
        if not as_json:
            echo(f"{WORDS[outcome.status]:6} {outcome}")
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in WORDS}
    package = runner.package
    if as_json:
        facts: dict[str, Any] = {"distribution": package.distribution, "version": package.version}
        echo(json.dumps({**facts, "counts": counts, "checks": list(map(attrs.asdict, outcomes))}, indent=2))
    else:
        echo(f"{package.distribution} {package.version}: " + ", ".join(f"{n} {s}" for s, n in counts.items() if n))
    if counts["failed"]:
        raise SystemExit(1)


def _waiver(text: str) -> tuple[str, str]:
    name, equals, reason = text.partition("=")
    if not (equals and reason.strip()):
        raise InputError(
            f"--waive takes CHECK=REASON, for example --waive 'works-with-any-images=…', but got {quote(text)}."
        )
    return name.strip(), reason.strip()
