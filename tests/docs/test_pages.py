"""Pages are consistent: links have targets, the site has every page, figures show the code."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from documentation.blocks import blocks_of
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
OUTSIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
"""Pages that are not part of the site."""


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_targets(page):
    for link in links(page):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def links(page: Path) -> list[str]:
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    inline = [child for token in tokens for child in token.children or () if child.type in ("link_open", "image")]
    return [str(token.attrs.get("href") or token.attrs.get("src")) for token in inline]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_site_has_every_page():
    index = (DOCS / "index.md").read_text(encoding="utf-8")

    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        if name != "index":
            assert f"\n{name}\n" in index, f"docs/index.md lists no page {name}"
            assert f"]({name}.md)" in index, f"docs/index.md has no link to {name}.md"


def test_the_figure_of_the_loop_shows_its_lines():
    files = ("nasplug/engine/runner.py", "nasplug/engine/trainer.py")
    code = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    figure = ET.parse(DOCS / "images" / "loop.svg")  # noqa: S314 - our own file
    lines = [each.text or "" for each in figure.iter("{http://www.w3.org/2000/svg}text") if each.get("class") == "line"]

    assert len(lines) == 15
    assert lines.pop() == "selector.select(search_state)"
    places = [code.find(line) for line in lines]
    assert -1 not in places


def test_the_first_method_has_at_most_sixty_lines():
    first = next(block for block in blocks_of(DOCS / "tutorial" / "your-first-method.md") if block.file)

    assert first.file == "my_method.py"
    assert len(first.text.splitlines()) <= 60
