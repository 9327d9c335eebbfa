"""A wrong cloud file is refused before anything is touched, with every finding at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keystone_rollout.domain.cloud.tls import TrustedAddress
from keystone_rollout.hooks.files.cloud_file import (
    CLOUDS,
    CloudFileError,
    load_cloud,
    parse_cloud,
    project_path,
)
from keystone_rollout.hooks.files.project import PROJECT
from tests.stand_ins.cloud_text import GOOD, findings
from tests.stand_ins.release_texts import DANGEROUS, DIGEST


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_is_read_with_its_releases_filled_in() -> None:
    cloud = parse_cloud(GOOD, "small.yaml")
    assert cloud.upgrade_container.image == "keystone:13.0.4"
    assert cloud.upgrade_container.configuration == "etc/13.0.4"
    assert cloud.node_steps.variables == {"repository": "deb http://packages/{{ release }} ./"}
    assert cloud.node_names == ["one", "two"]


def test_the_runs_own_releases_replace_the_files() -> None:
    cloud = parse_cloud(GOOD, "small.yaml", source="13.0.4", target="14.2.0")
    assert (cloud.source, cloud.target) == ("13.0.4", "14.2.0")
    assert cloud.upgrade_container.image == "keystone:14.2.0"


@pytest.mark.parametrize("path", sorted((CLOUDS).glob("*.yaml")), ids=lambda p: p.stem)
def test_every_committed_cloud_loads(path: Path) -> None:
    assert load_cloud(path.stem).name == path.stem


def test_the_production_example_shows_every_key() -> None:
    text = (CLOUDS / "production-example.yaml").read_text(encoding="utf-8")
    cloud = load_cloud("production-example")
    assert (len(cloud.nodes), len(cloud.load_balancers)) == (3, 2)
    shown = text.replace("#", "")
    absent = [
        key
        for section in (cloud, cloud.upgrade_container, cloud.limits, cloud.limits.load,
                        cloud.limits.node, cloud.load, cloud.doctor, cloud.tokens, cloud.node_steps,
                        cloud.notifications[0], cloud.tls, TrustedAddress(),
                        load_cloud("lab").rehearsal)
        for key in type(section).model_fields
        if f"{key}:" not in shown
    ]  # fmt: skip
    assert absent == []


def test_an_unknown_key_is_named_with_its_line_and_the_allowed_ones() -> None:
    assert findings(changed("    server: s2\n", "    sever: s2\n    server: s2\n")) == [
        "small.yaml:18: nodes.1.sever: read unknown key 'sever'; allowed: name, server, ssh, url"
    ]


def test_an_unknown_key_is_found_at_any_depth() -> None:
    text = GOOD + "limits:\n  load:\n    failure_buget: 1\n"
    (found,) = findings(text)
    assert found.startswith(
        "small.yaml:26: limits.load.failure_buget: read unknown key 'failure_buget'; allowed: "
        "baseline_seconds, failure_budget, "
    )
    (found,) = findings(GOOD + "colour: red\n")
    assert found.startswith("small.yaml:24: colour: read unknown key 'colour'; allowed: api, ")
    assert "schema" in findings(changed("{reader: r,", "{schema_name: x, reader: r,"))[0]


def test_a_key_that_is_gone_says_what_to_do() -> None:
    assert findings(GOOD + "load:\n  web_port: 8089\n") == [
        "small.yaml:25: load.web_port: this key of 0.1.0 is gone: the load listens on no port any "
        "more, and its numbers are on the page of link Load at task load.start_load. "
        "Next: remove this line"
    ]
    (found,) = findings(GOOD + "web_port: 8089\n")
    assert "read unknown key 'web_port'; allowed: " in found


def test_a_missing_node_key_is_named_with_the_nodes_line() -> None:
    assert findings(changed("    url: http://127.0.0.1:5002/v3\n", "")) == [
        "small.yaml:16: nodes.1.url: the key is missing, and it has no default"
    ]


def test_a_missing_section_is_named() -> None:
    (found,) = findings(changed("api: {connection: api}\n", ""))
    assert found.endswith("api: the key is missing, and it has no default")


def test_a_duplicate_name_is_named_with_its_line() -> None:
    assert findings(changed("name: two", "name: one")) == [
        "small.yaml:16: nodes.1.name: name 'one' is there more than once; each has to be unique"
    ]
    (found,) = findings(changed("server: s2", "server: s1"))
    assert found.startswith("small.yaml:18: nodes.1.server: server 's1' is there more than once")


def test_an_empty_node_list_is_refused() -> None:
    text = GOOD[: GOOD.index("  - name: one")] + GOOD[GOOD.index("node_steps:") :]
    (found,) = findings(text.replace("nodes:\n", "nodes: []\n"))
    assert found == (
        "small.yaml:11: nodes: List should have at least 1 item after validation, not 0"
    )


def test_a_single_node_cannot_be_upgraded_while_it_serves() -> None:
    text = GOOD[: GOOD.index("  - name: two")] + GOOD[GOOD.index("node_steps:") :]
    assert findings(text) == [
        "small.yaml:11: nodes: read 1 (one); at least 2 are needed, so that one can be out while "
        "the others serve"
    ]


def test_an_unknown_release_is_refused_with_the_known_ones() -> None:
    (found,) = findings(changed("target: 13.0.4", "target: 99.0.0"))
    assert found == (
        "small.yaml:3: target: read '99.0.0': Keystone 99 is an unknown release; "
        "allowed are 10 (Newton) to 30 (2026.2) (read '99.0.0')"
    )


def test_a_release_that_yaml_reads_as_a_number_is_refused() -> None:
    (found,) = findings(changed("source: 12.0.3", "source: 12.0"))
    assert found == "small.yaml:2: source: Input should be a valid string (read 12.0)"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("26.1.1.dev4", "27.0.1.dev7"),
        ("2:28.0.0-0ubuntu1", "2:29.0.0-0ubuntu1.2"),
        ("1:26.1.1-1.el9", f"1:27.0.1-1.el9@{DIGEST}"),
    ],
)
def test_builds_are_taken_from_a_file_and_from_a_run_alike(source: str, target: str) -> None:
    text = changed("source: 12.0.3\ntarget: 13.0.4", f"source: {source}\ntarget: {target}")
    for cloud in (parse_cloud(text, "small.yaml"), parse_cloud(GOOD, "small.yaml", source, target)):
        assert (cloud.source, cloud.target) == (source, target)
        assert (cloud.source_release.text, cloud.target_release.text) == (source, target)


@pytest.mark.parametrize("text", DANGEROUS)
def test_what_a_shell_would_read_otherwise_is_refused_in_a_file_and_of_a_run(text: str) -> None:
    begin = f"small.yaml:3: target: read {text!r}; allowed is a Keystone version such as 13.0.4"
    (of_run,) = findings(GOOD, target=text)
    (of_file,) = findings(changed("target: 13.0.4", f"target: {json.dumps(text)}"))
    assert of_run.startswith(begin)
    assert of_file.startswith(begin)


def test_a_run_between_two_builds_of_a_version_is_refused() -> None:
    (found,) = findings(GOOD, source="2:22.0.2-0+deb12u2", target="2:22.0.2-0+deb12u3")
    assert "2:22.0.2-0+deb12u2 (Zed) and 2:22.0.2-0+deb12u3 (Zed) are two builds of one" in found


def test_a_downgrade_is_refused() -> None:
    assert findings(GOOD, source="13.0.4", target="12.0.3") == [
        "small.yaml:3: target: 13.0.4 (Queens) to 12.0.3 (Pike) is a downgrade: the database "
        "cannot go back; allowed is a later release"
    ]


def test_a_skipped_release_is_refused_with_the_path_to_take() -> None:
    assert findings(changed("target: 13.0.4", "target: 14.2.0")) == [
        "small.yaml:3: target: 12.0.3 (Pike) to 14.2.0 (Rocky) skips releases that cannot be "
        "skipped; take Pike → Queens → Rocky, one hop each"
    ]


def test_a_wrong_value_says_what_was_read() -> None:
    (found,) = findings(GOOD + "limits: {node: {drain_seconds: -1}}\n")
    assert found == (
        "small.yaml:24: limits.node.drain_seconds: Input should be greater than 0 (read -1)"
    )


def test_everything_that_is_wrong_is_listed_at_once() -> None:
    text = (
        GOOD.replace("target: 13.0.4", "target: 14.2.0")
        .replace("name: two", "name: one")
        .replace("    url: http://127.0.0.1:5001/v3\n", "")
        .replace("preset: apt", "preset: zypper")
        + "colour: red\n"
    )
    found = findings(text)
    places = sorted(each.split(": ")[1] for each in found)
    assert places == ["colour", "node_steps.preset", "nodes.0.url", "nodes.1.name", "target"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("nodes:\n", "nodes: 5\nothers:\n", "nodes: Input should be a valid list (read 5)"),
        ("nodes:\n", "nodes: none\nothers:\n", "nodes: Input should be a valid list (read 'none')"),
        ("name: two", "name: [two]", "nodes.1.name: Input should be a valid string"),
        ("name: two", "name: {a: b}", "nodes.1.name: Input should be a valid string"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_finding_and_not_a_crash(
    old: str, new: str, expected: str
) -> None:
    assert any(each.endswith(expected) for each in findings(changed(old, new)))


def test_an_unknown_name_in_a_text_is_refused() -> None:
    with pytest.raises(CloudFileError) as caught:
        parse_cloud(changed("keystone:{{ target }}", "keystone:{{ relase }}"), "small.yaml")
    assert str(caught.value) == (
        "small.yaml: 'relase' is undefined; allowed are name, source and target, in rehearsal also "
        "python"
    )


@pytest.mark.parametrize(
    "template", ["keystone:{{ target }}", '"deb http://packages/{{ release }} ./"']
)
def test_a_template_reaches_nothing_of_python(template: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attack = f"{{{{ cycler.__init__.__globals__.os.system('touch {mark}') }}}}"
    with pytest.raises(CloudFileError, match=r"is unsafe|is undefined"):
        parse_cloud(changed(template, f'"{attack}"'), "small.yaml")
    assert not mark.exists()


def test_what_is_not_yaml_is_refused_with_its_place() -> None:
    with pytest.raises(CloudFileError, match=r"(?s)^small.yaml is not YAML: .*line 2"):
        parse_cloud("name: [a\nb: c", "small.yaml")
    with pytest.raises(CloudFileError, match="read list, allowed is a mapping of keys"):
        parse_cloud("- a", "small.yaml")


def test_an_unknown_cloud_is_refused_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path))
    for expected in ("none", "small"):
        with pytest.raises(CloudFileError) as caught:
            load_cloud("big")
        assert str(caught.value) == (
            "cloud 'big': big.yaml cannot be read (No such file or directory). Allowed: "
            f"{expected}. Next: choose one of them, or add the file to include/clouds"
        )
        (tmp_path / "small.yaml").write_text(GOOD, encoding="utf-8")
    assert load_cloud("small").name == "small"


@pytest.mark.parametrize("name", ["../secret", "{outside}/secret", "inner/secret"])
def test_a_cloud_is_a_file_of_the_folder_and_nothing_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ROLLOUT_CLOUDS", str(tmp_path / "clouds"))
    (tmp_path / "clouds" / "inner").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "clouds" / "inner"):
        (folder / "secret.yaml").write_text("key: [s3cret")
    with pytest.raises(CloudFileError, match="a cloud is named, and not a path") as caught:
        load_cloud(name.format(outside=tmp_path))
    assert "s3cret" not in str(caught.value)


def test_a_relative_path_counts_from_the_project() -> None:
    assert project_path("a/b") == PROJECT / "a" / "b"
    assert project_path("/a/b") == Path("/a/b")


def test_nobody_is_told_anything_unless_the_file_says_so() -> None:
    assert parse_cloud(GOOD, "small.yaml").notifications == []
    (one,) = parse_cloud(
        GOOD + "notifications: [{via: slack, connection: chat}]\n", "small.yaml"
    ).notifications
    assert one.events == ["started", "halted", "approval_needed", "rolled_back", "finished"]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("{via: pigeon, connection: c}",
         "notifications.0.via: Input should be 'apprise', 'smtp' or 'slack' (read 'pigeon')"),
        ("{via: smtp, connection: mail}",
         "notifications.0: `to` is missing: allowed is a list of mail addresses"),
        ("{via: slack, connection: chat, to: [x@y]}",
         "notifications.0: `to` is for smtp alone: where slack goes is said by connection chat"),
        ("{via: slack, connection: chat, events: [begun]}",
         "notifications.0.events.0: Input should be 'started', 'halted', 'approval_needed', "
         "'rolled_back' or 'finished' (read 'begun')"),
        ("{via: slack, connection: chat, password: secret}",
         "notifications.0.password: read unknown key 'password'; allowed: connection, events, to, "
         "via"),
        ("{via: slack, connection: 'https://hooks.test/T/B'}",
         "notifications.0.connection: String should match pattern '^[A-Za-z0-9_.-]+$' (read "
         "'https://hooks.test/T/B')"),
    ],
)  # fmt: skip
def test_a_wrong_notification_is_named_with_its_line(entry: str, found: str) -> None:
    assert findings(GOOD + f"notifications:\n  - {entry}\n") == [f"small.yaml:25: {found}"]
