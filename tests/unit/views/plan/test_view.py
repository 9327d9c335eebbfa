"""A plan says what an upgrade would do, the verdict first, and what is not known as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.model import Cloud, cloud_from_data
from keystone_rollout.domain.releases.hop_plan import conditions, hop_part
from keystone_rollout.hooks.files.run_directory import RunDirectory
from keystone_rollout.procedures.plan.file import record_part, write_plan
from keystone_rollout.procedures.run.report import render_page
from keystone_rollout.views.plan.text import WIDTH, plan_text
from keystone_rollout.views.plan.view import LARGEST, build_plan_view, findings, schema_view
from tests.stand_ins import plan_example as example
from tests.stand_ins.html_page import Page


def text_of(parts: dict[str, object]) -> str:
    return plan_text(build_plan_view(parts, "run", 1772359200.0))


def flat(text: str) -> str:
    return " ".join(text.split())


def cloud(source: str, target: str, **other: object) -> Cloud:
    from keystone_rollout.hooks.files.cloud_file import load_cloud

    data = load_cloud("lab").model_dump(by_alias=True)
    return cloud_from_data({**data, "source": source, "target": target, **other}, any_hop=True)


def test_the_verdict_comes_first_and_the_day_before_is_named() -> None:
    lines = text_of(example.parts()).splitlines()
    assert lines[0] == "READY: KEYSTONE UPGRADE OF CLOUD lab"
    assert lines[1] == "12.0.3 (Pike) → 13.0.4 (Queens), planned 2026-03-01 10:00:00 UTC"
    assert lines[2].startswith("7 migrations are pending. Nothing was touched; task preflight")


def test_migrations_stand_in_order_and_neighbouring_placeholders_share_a_row() -> None:
    lines = text_of(example.parts()).splitlines()
    begin = lines.index("MIGRATIONS")
    assert lines[begin + 1 : lines.index("", begin)] == [
        "  expand runs 6 migrations",
        "    101_placeholder … 103_placeholder: 3 placeholders, which change nothing",
        "    104_expand_badges",
        "    105_expand_ribbons",
        "    106_placeholder: a placeholder, which changes nothing",
        "  migrate has nothing to do",
        "  contract runs 1 migrations",
        "    104_contract_badges",
    ]


def test_the_schema_has_its_size_and_its_largest_tables() -> None:
    text = flat(text_of(example.parts()))
    assert (
        "HOW LARGE THE SCHEMA IS 2 tables with about 1,202,000 rows, 65.0 MiB in all. "
        "A migration that alters or copies a large table takes long. "
        "badge about 1,200,000 64.0 MiB user 2,000 1.0 MiB"
    ) in text


def test_of_many_tables_the_largest_have_a_row_and_all_count() -> None:
    tables = {
        f"table_{number:02}": {"rows": 100, "exact": True, "bytes": 1024 * (number // 2)}
        for number in range(30)
    }
    view = schema_view(tables)
    assert view is not None
    assert view["sentence"].startswith("30 tables with 3,000 rows, 210.0 KiB in all.")
    assert [row["table"] for row in view["largest"]] == [
        "table_28", "table_29", "table_26", "table_27", "table_24",
        "table_25", "table_22", "table_23", "table_20", "table_21",
    ]  # fmt: skip
    assert len(view["largest"]) == LARGEST


def test_the_point_of_no_return_is_marked_before_contract() -> None:
    text = text_of(example.parts())
    mark = text.index("═ point of no return ═")
    assert text.index("last moment for keystone_rollback") < mark < text.index("contract: point of")
    assert "keystone-1, then keystone-2: one by one" in text
    parts = example.parts()
    parts["migrations"]["phases"][2] = example.phase("contract", "nothing to do")
    assert "═" not in text_of(parts)
    assert "contract has nothing to do: keystone_rollback works after it" in text_of(parts)


def test_times_come_from_past_runs_and_other_hops_are_named() -> None:
    lines = [flat(line) for line in text_of(example.parts()).splitlines()]
    assert "From 3 runs of this cloud and hop and 2 runs of its other hops." in lines
    assert "all steps, without the wait for approval 3 min 10 s 5 min 0 s 3 runs" in lines
    assert "one node out of rotation 14.2 s 31.0 s 3 runs" in lines
    assert "token_flush 2.0 s 2.5 s 2 runs, other hop" in lines


def test_without_a_past_run_a_rehearsal_is_named() -> None:
    parts = example.parts()
    parts["estimate"] |= {"runs": 0, "runs_of_other_hops": 0, "steps": [], "unreadable": ["torn"]}
    text = text_of(parts)
    assert "No past run here: a rehearsal measures it; 1 run could not be read." in text


def test_what_could_not_be_read_is_named_once_with_all_the_rest() -> None:
    parts = example.broken_parts()
    found = findings(parts)
    assert [(each.object, each.measured) for each in found] == [
        ("keystone:queens", "image is not on this Docker host"),
        ("keystone-2", "no route to host"),
        ("estimate_steps", "it did not finish"),
    ]
    text = text_of(parts)
    assert text.startswith("NOT READY: ")
    assert "3 things stand in the way or could not be read" in text
    assert flat(text).lower().count("not known: see what could not be read") == 3
    assert "unknown: no route to host" in text
    assert "keystone-1" in text
    assert "No past run here" not in text


def test_nothing_at_all_is_not_ready() -> None:
    text = text_of({})
    assert text.startswith("NOT READY: KEYSTONE UPGRADE OF CLOUD not known")
    assert "5 things stand in the way" in text


def test_a_terminal_of_a_hundred_columns_is_enough() -> None:
    for parts in (example.parts(), example.broken_parts(), {}):
        assert max(map(len, text_of(parts).splitlines())) <= WIDTH <= 100


def test_a_refused_hop_is_a_finding_with_the_path_to_take() -> None:
    (finding,) = hop_part(cloud("12.0.3", "14.2.0"))["findings"]
    assert finding["measured"] == "12.0.3 (Pike) to 14.2.0 (Rocky)"
    assert "take Pike → Queens → Rocky, one hop each" in finding["consequence"]


@pytest.mark.parametrize(
    ("source", "target", "other", "term", "begin"),
    [
        ("10.0.3", "11.0.4", {}, "writes that fail by design", "By design of 10.0.3 (Newton)"),
        ("10.0.3", "11.0.4", {}, "creates triggers", "yes, which takes SUPER or"),
        ("10.0.3", "11.0.4", {}, "memcached", "each release needs a memcached of its own: Newton"),
        ("10.0.3", "11.0.4", {}, "read committed", "the database server's global isolation is"),
        ("10.0.3", "11.0.4", {"read_committed": "never"}, "read committed", "switched off"),
        ("12.0.3", "13.0.4", {}, "read committed", "not needed in this hop"),
        ("12.0.3", "13.0.4", {"read_committed": "always"}, "read committed", "the database"),
        ("12.0.3", "13.0.4", {}, "memcached", "both releases may share it"),
        ("16.0.2", "17.0.1", {}, "worth knowing", "Train on Python 2.7 and Ussuri on"),
        ("11.0.4", "12.0.3", {}, "options that keystone.conf of 12.0.3 needs",
         "[identity] rolling_upgrade_password_hash_compat = true: nodes on Ocata"),
    ],
)  # fmt: skip
def test_what_a_hop_asks_for_is_a_sentence(
    source: str, target: str, other: dict[str, object], term: str, begin: str
) -> None:
    found = {each["term"]: each["text"] for each in conditions(cloud(source, target, **other))}
    assert found[term].startswith(begin)


def test_the_plan_says_that_a_hop_creates_no_triggers() -> None:
    assert "  creates triggers: no" in text_of(example.parts()).splitlines()


@pytest.mark.parametrize("make", [example.parts, example.broken_parts, dict])
def test_the_page_says_the_same_without_network(make: type) -> None:
    view = build_plan_view(make(), "run", 1772359200.0)
    page = Page(render_page("plan.html.j2", view))
    assert not [a for a in page.attributes if a[1] in ("src", "href")]
    assert page.words.index(view["headline"]) < 5
    for row in [*view["findings"], *view["conditions"], *view["way"]]:
        for value in row.values():
            if isinstance(value, str):
                assert value in page.text
    for phase in view["phases"] or []:
        for row in phase["migrations"]:
            assert row in page.text
    schema = view["schema"] or {"sentence": "", "largest": []}
    assert schema["sentence"] in page.text
    for row in [*schema["largest"], *(view["nodes"] or []), *view["estimate"]["steps"]]:
        for value in row.values():
            assert str(value) in page.text


def test_what_others_wrote_is_text_and_never_markup() -> None:
    parts = example.broken_parts()
    parts["nodes"]["nodes"][0]["release"] = "<script>alert(1)</script>"
    text = render_page("plan.html.j2", build_plan_view(parts, "run", 0.0))
    assert "<script" not in text


def test_three_files_are_written_and_a_part_that_was_read_again_counts(tmp_path: Path) -> None:
    directory = RunDirectory("run", tmp_path)
    for name, data in {**example.broken_parts(), **example.parts()}.items():
        record_part(directory, name, {"findings": [example.FINDING]})
        record_part(directory, name, data)
    page, text = write_plan(directory)
    assert (directory.path / "plan.txt").read_text(encoding="utf-8") == text
    data = json.loads((directory.path / "plan.json").read_text())
    assert (data["ready"], data["findings"], data["parts"]) == (True, [], example.parts())
    assert page == directory.path / "plan.html"
    assert sorted(each.name for each in directory.path.iterdir()) == [
        "events.jsonl", "plan.html", "plan.json", "plan.txt",
    ]  # fmt: skip
