"""The code blocks of a Markdown page."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from markdown_it import MarkdownIt

WORDS = frozenset({"search", "any output", "fails", "not run"})
"""What a comment above a block may say."""
_MARK = re.compile(r"<!-- test: (.*) -->")
_FILE = re.compile(r"# ([\w./-]+\.(?:py|toml|csv|md))")
_PROGRAM = re.compile(r"(uvx? |pip |nasplug |for |git |python |pytest\b|cd |[A-Z_]+=\S+ )")


@attrs.frozen
class Block:
    """One code block: where it stands, its language ("commands" for indented ones), its text and its marks."""

    page: Path
    line: int
    language: str
    text: str
    marks: frozenset[str]

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that it shows, if it says so in its first line."""
        named = _FILE.fullmatch(self.text.partition("\n")[0])
        return named[1] if named and self.language in ("python", "toml") else None


def blocks_of(page: Path) -> list[Block]:
    """All code blocks of a page, in order; ValueError for marks that nobody knows."""
    blocks: list[Block] = []
    marks: frozenset[str] = frozenset()
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            language = token.info if token.type == "fence" else _language(token.content)
            blocks.append(Block(page, (token.map or [0])[0] + 1, language, token.content, marks))
        if token.type == "html_block" and (found := _MARK.search(token.content)):
            marks = frozenset(word.strip() for word in found[1].split(","))
            if unknown := marks - WORDS:
                raise ValueError(f"{page}: nobody knows the mark {', '.join(unknown)}; there are {', '.join(WORDS)}")
        else:
            marks = frozenset()
    return blocks


def _language(indented: str) -> str:
    """Indented blocks are commands, or text such as a formula."""
    first = next(line for line in indented.splitlines() if not line.startswith("#"))
    return "commands" if _PROGRAM.match(first) else "text"
