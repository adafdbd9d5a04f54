from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin module on the import path, as an installer would."""
    before = set(sys.modules)
    for variable in ("NASPLUG_STRICT", "NASPLUG_WITHOUT", "NASPLUG_PLUGIN", "NASPLUG_TRACE"):
        monkeypatch.delenv(variable, raising=False)

    def install(
        distribution: str,
        source: str,
        *,
        entry_point: str = "",
        version: str = "1.0",
        requires: Sequence[str] = (),
    ) -> None:
        place = tmp_path / distribution
        package = distribution.replace("-", "_")
        module = f"{package}_hooks"
        info = place / f"{package}-{version}.dist-info"
        info.mkdir(parents=True)
        needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{needs}")
        (info / "entry_points.txt").write_text(f"[nasplug]\n{entry_point or distribution} = {module}\n")
        (place / f"{module}.py").write_text(
            f"from nasplug.hookspecs import hookimpl, hookspec\n{dedent(source)}", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(place)

    yield install
    for name in set(sys.modules) - before:
        if name.endswith("_hooks") or name.startswith("toy"):
            del sys.modules[name]
