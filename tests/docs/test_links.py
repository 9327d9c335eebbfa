"""Every link of the documentation that stays in the project leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.documentation import ROOT, Found, Page, anchor, pages, read_page

PAGES = {page.path: page for page in pages()}


def problem(link: Found, root: Path = ROOT) -> str | None:
    """Say what is wrong with a link, or return None where it leads somewhere."""
    parts = urlsplit(link.text)
    if parts.scheme or parts.netloc:
        return None
    path = root / link.page.parent / unquote(parts.path) if parts.path else root / link.page
    if not path.exists():
        return f"{link}: {parts.path} does not exist"
    if not path.resolve().is_relative_to(root.resolve()):
        return f"{link}: leads out of the project"
    if parts.fragment and path.suffix == ".md":
        target = read_page(path.resolve().relative_to(root.resolve()), root)
        if parts.fragment not in target.anchors():
            return f"{link}: {target.path} has no heading #{parts.fragment}"
    return None


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    links = [link for page in pages() for link in page.links()]
    assert len(links) > 20
    assert [found for link in links if (found := problem(link))] == []


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("b.md", None),
        ("b.md#two-words-", None),
        ("#a", None),
        ("https://example.org/x", None),
        ("c.md", "c.md does not exist"),
        ("b.md#three", "docs/b.md has no heading #three"),
        ("#b", "docs/a.md has no heading #b"),
        ("../../x.md", "leads out of the project"),
    ],
)
def test_a_broken_link_would_be_named(link: str, found: str | None, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "docs").mkdir(parents=True)
    (tmp_path / "x.md").write_text("")
    (root / "docs/a.md").write_text(f"# A\n\nSee [this]({link}).\n")
    (root / "docs/b.md").write_text("# B\n\n## Two *words* …?\n")
    (seen,) = read_page("docs/a.md", root).links()
    said = problem(seen, root)
    assert (said is None) if found is None else (said == f"docs/a.md:3: {link}: {found}")


def test_images_are_links() -> None:
    page = Page(Path("x.md"), "![a picture](images/none.svg)\n")
    assert [link.text for link in page.links()] == ["images/none.svg"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [("What if …?", "what-if-"), ("load_balancers[]", "load_balancers"), ("A, b & c", "a-b--c")],
)
def test_an_anchor_is_the_one_of_a_git_page(title: str, expected: str) -> None:
    assert anchor(title) == expected


@pytest.mark.parametrize("name", ["runbook", "what-if", "architecture", "cloud-file"])
def test_a_page_is_reached_from_another_one(name: str) -> None:
    path = Path("docs") / f"{name}.md"
    leading = [
        page.path
        for page in pages()
        for link in page.links()
        if page.path != path and Path(urlsplit(link.text).path).name == path.name
    ]
    assert path in PAGES
    assert leading, f"nothing leads to {path}"
