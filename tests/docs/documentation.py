"""Read the documentation: its commands, quotes, links and headings, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
SHELL = frozenset(["sh", "bash", "shell", "console"])
PROGRAMS = ("airflow", "bash", "curl", "docker", "git", "make", "pip", "python", "source", "sudo")
"""A line that begins with one of these is a command, whatever its block says it is."""

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Found:
    """Hold a text and where it stands."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Page:
    """Hold one Markdown page; ``path`` counts from the project's folder."""

    path: Path
    text: str

    def tokens(self) -> list[Token]:
        """Return the page's blocks in their order."""
        return _MARKDOWN.parse(self.text)

    def blocks(self, *languages: str) -> Iterator[Found]:
        """Yield the fenced blocks of these languages."""
        for token in self.tokens():
            if token.type == "fence" and token.info.strip() in languages:
                yield Found(self.path, _line(token), token.content)

    def commands(self) -> Iterator[Found]:
        """Yield every command: lines of shell blocks, and of others what begins as a command."""
        for token in self.tokens():
            if token.type != "fence":
                continue
            shell = token.info.strip() in SHELL
            for number, text in _joined(token.content):
                if shell or text.split()[0] in PROGRAMS:
                    yield Found(self.path, _line(token) + 1 + number, text)

    def spans(self) -> Iterator[Found]:
        """Yield what stands between backquotes in running text."""
        for token in self.tokens():
            for child in token.children or []:
                if child.type == "code_inline":
                    yield Found(self.path, _line(token), child.content)

    def quotes(self) -> Iterator[Found]:
        """Yield each paragraph of each blockquote, on one line, as it is written."""
        depth = 0
        for token in self.tokens():
            depth += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
            if depth and token.type == "inline":
                yield Found(self.path, _line(token), " ".join(token.content.split()))

    def links(self) -> Iterator[Found]:
        """Yield the targets of links and images."""
        for token in self.tokens():
            for child in token.children or []:
                target = child.attrs.get("href") or child.attrs.get("src")
                if target:
                    yield Found(self.path, _line(token), str(target))

    def anchors(self) -> set[str]:
        """Return the anchors that a Git page makes of the headings."""
        tokens = self.tokens()
        titles = [
            "".join(child.content for child in following.children or [])
            for token, following in pairwise(tokens)
            if token.type == "heading_open"
        ]
        return {anchor(title) for title in titles}


@cache
def pages() -> tuple[Page, ...]:
    """Return the pages in the project's folder but the changelog, and every page below docs/."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    paths = [*top, *sorted((ROOT / "docs").rglob("*.md"))]
    return tuple(read_page(path.relative_to(ROOT)) for path in paths)


def read_page(path: Path | str, root: Path = ROOT) -> Page:
    """Return one page by its path in the project."""
    return Page(Path(path), (root / path).read_text(encoding="utf-8"))


def anchor(title: str) -> str:
    """Return the anchor of a heading: small letters, hyphens for blanks, no punctuation."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _line(token: Token) -> int:
    return (token.map or [0])[0] + 1


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield each command with the number of its first line; explanations are left out."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines()):
        if not parts:
            begun = number
        parts.append(line.removesuffix("\\").strip())
        if line.endswith("\\"):
            continue
        command = re.sub(r"(^|\s+)# .*$", "", " ".join(parts)).strip()
        parts = []
        if command:
            yield begun, command
