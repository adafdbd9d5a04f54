"""Writes the pages of docs/reference that are generated; a test compares them with the code."""

from __future__ import annotations

from pathlib import Path

from reference_writers import PAGES, written

FOLDER = Path(__file__).parent / "reference"


def main() -> None:
    """Writes every page."""
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(written(name), encoding="utf-8")


if __name__ == "__main__":
    main()
