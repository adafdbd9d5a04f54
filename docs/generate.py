"""Writes the pages of docs/reference that are generated; a test compares them with the code."""

from __future__ import annotations

from pathlib import Path

from reference_writers import PAGES, render_page

FOLDER = Path(__file__).parent / "reference"


def main() -> None:
    """Writes all pages."""
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(render_page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
