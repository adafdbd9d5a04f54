"""What the documentation says is what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_combinations_is_up_to_date():
    spec = importlib.util.spec_from_file_location("write_composition", DOCS / "write_composition.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert (DOCS / "reference" / "composition.md").read_text(encoding="utf-8") == writer.page(), (
        "run: uv run python docs/write_composition.py"
    )
