"""The reference of the cloud file says what the model says, and nothing in it is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from keystone_rollout.cli.reference import PAGE, main
from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.views import cloud_reference
from keystone_rollout.views.cloud_reference import (
    allowed,
    keys_without_meaning,
    otherwise,
    reference_page,
)

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_page_is_what_the_model_makes() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == reference_page(), (
        f"{PAGE} is not what the model says. Next: make reference"
    )


def test_every_key_and_variable_has_a_meaning() -> None:
    assert keys_without_meaning() == []


def keys(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema(by_alias=True)
    for section in (schema, *schema["$defs"].values()):
        yield from section.get("properties", {})


def test_no_key_of_the_model_is_missing() -> None:
    page = reference_page()
    lacking = [key for key in keys(Cloud) if f"`{key}`" not in page]
    assert lacking == []


class Tiny(BaseModel):
    """Be a section."""

    port: int = Field(8089, ge=1024, le=65535, description="port | page")
    kind: Literal["a", "b"] = Field(description="kind")
    share: float = Field(0.5, gt=0, description="share")
    host: str | None = Field(None, description="host")
    weights: dict[Literal["x"], int] = Field({}, description="weights")
    names: list[str] = Field(["k"], min_length=1, description="names")
    silent: bool = False


SCHEMA: dict[str, Any] = Tiny.model_json_schema()


@pytest.mark.parametrize(
    ("key", "may_be", "default"),
    [
        ("port", "whole number, at least 1024, at most 65535", "`8089`"),
        ("kind", "`a`, `b`", "**required**"),
        ("share", "number, more than 0", "`0.5`"),
        ("host", "text or nothing", "nothing"),
        ("weights", "mapping to whole number, of `x`", "`{}`"),
        ("names", "list of text, at least 1", '`["k"]`'),
        ("silent", "`true` or `false`", "`false`"),
    ],
)
def test_a_key_is_put_into_words(key: str, may_be: str, default: str) -> None:
    each = SCHEMA["properties"][key]
    assert allowed(each, {}) == may_be
    assert otherwise(key, each, SCHEMA["required"]) == default


def test_a_schema_without_words_is_refused_rather_than_left_out() -> None:
    with pytest.raises(ValueError, match="no words for the schema"):
        allowed({"not": {"type": "string"}}, {})


def test_a_key_that_nothing_is_said_about_is_named_and_no_page_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cloud_reference, "Cloud", Tiny)
    assert keys_without_meaning() == ["Cloud.silent"]
    assert main(tmp_path) == 1
    assert "nothing is said about Cloud.silent; docs/cloud-file.md was not" in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_written_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    assert main(tmp_path) == 0
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == reference_page()
    assert capsys.readouterr().out == f"wrote {PAGE}\n"


def test_a_bar_in_a_text_does_not_end_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_reference, "Cloud", Tiny)
    row = next(line for line in reference_page().splitlines() if line.startswith("| `port`"))
    assert row.endswith(r"| port \| page |")
