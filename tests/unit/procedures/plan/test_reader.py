"""A plan reads image, schema and nodes; what cannot be read is a finding, and the rest is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.node.steps import Step
from keystone_rollout.domain.schema.migrations import ImageMigrations
from keystone_rollout.domain.schema.versions import RecordedVersions
from keystone_rollout.hooks.database.keystone import read_table_sizes
from keystone_rollout.hooks.docker.image import UpgradeImageError
from keystone_rollout.hooks.files.cloud_file import CloudFileError, load_cloud
from keystone_rollout.hooks.node.all_nodes import AllNodes
from keystone_rollout.procedures.plan.reader import PlanReader
from tests.stand_ins import image_listings
from tests.stand_ins.in_memory_haproxy import Balancer, in_memory_haproxy
from tests.stand_ins.systems import run_with


class Image:
    """Play an upgrade image of one release."""

    def __init__(self, release: str = "13.0.4", there: bool = True) -> None:
        self.name, self.there = release, there

    def digest(self) -> str:
        if not self.there:
            raise UpgradeImageError("image x is not on this Docker host. Next: pull or build it")
        return "sha256:1"

    def release(self) -> str:
        return self.name

    def migrations(self) -> ImageMigrations:
        return image_listings.image_of("13.0.4")


class Database:
    """Play Keystone's database: versions, and a reader with tables of some size."""

    schema = "keystone"

    def __init__(self, versions: RecordedVersions | None, rows: dict[str, int]) -> None:
        self.recorded, self.rows = versions, rows
        self.counted: list[str] = []

    def versions(self) -> RecordedVersions:
        if self.recorded is None:
            raise OSError("Can't connect to\n MySQL server")
        return self.recorded

    def table_sizes(self) -> dict[str, dict[str, Any]]:
        return read_table_sizes(self, self.schema)  # type: ignore[arg-type]

    def get_records(self, question: str, parameters: dict[str, str]) -> list[tuple[Any, ...]]:
        assert "information_schema.tables" in question
        assert parameters == {"schema": "keystone"}
        return [(name.encode(), rows, 4096) for name, rows in self.rows.items()]

    def get_first(self, question: str) -> tuple[int]:
        self.counted.append(question.splitlines()[-1])
        return (7,)


class Machine:
    """Play a node that reports its release, or does not answer."""

    def __init__(self, report: str) -> None:
        self.report = report

    def run(self, step: Step, release: str) -> str:
        if not self.report:
            raise OSError("no route to host")
        return self.report

    def missing_privileges(self) -> list[str]:
        return []


@pytest.fixture
def cloud() -> Cloud:
    return load_cloud("lab", "12.0.3", "13.0.4")


@pytest.fixture
def reader(tmp_path: Path) -> Callable[..., PlanReader]:
    def made(cloud: Cloud, image: Image, database: Database | None = None) -> PlanReader:
        found = database or Database(image_listings.numbers(24, 24, 24), {})
        engine = SimpleNamespace(image=image)
        return PlanReader(run_with(cloud, tmp_path, engine=engine, schema=found))

    return made


def said(part: dict[str, Any]) -> list[tuple[str, str, str]]:
    assert all(
        finding["consequence"] == "nothing was touched: this is a plan" and finding["next_step"]
        for finding in part["findings"]
    )
    return [(each["check"], each["object"], each["measured"]) for each in part["findings"]]


def test_every_phase_has_its_migrations_and_placeholders_are_known_as_such(
    reader: Callable[..., PlanReader], cloud: Cloud
) -> None:
    part = reader(cloud, Image()).read_migrations()
    assert part["findings"] == []
    assert part["stands"] == "24/24/24"
    assert [len(phase["pending"]) for phase in part["phases"]] == [20, 20, 20]
    pending = part["phases"][0]["pending"]
    assert pending[0] == {"phase": "expand", "version": "25", "name": "025_placeholder"}
    assert [each["name"] for each in pending if "placeholder" not in each["name"]] == [
        "030_expand_add_project_tags_table",
        "031_expand_system_assignment_table",
        "032_expand_add_expired_at_int_to_trust",
        "033_expand_add_limits_tables",
        "034_expand_add_application_credential_table",
        "035_expand_add_system_column_to_application_credential_table",
        "036_expand_rename_application_credential_restriction_column",
        "037_expand_remove_service_and_region_fk_for_registered_limit",
    ]


def test_a_missing_image_is_a_finding_and_the_schema_is_there_all_the_same(
    reader: Callable[..., PlanReader], cloud: Cloud
) -> None:
    part = reader(cloud, Image(there=False)).read_migrations()
    assert said(part) == [
        ("reading", "keystone-rollout/upgrade:13.0.4",
         "image x is not on this Docker host. Next: pull or build it"),
    ]  # fmt: skip
    assert (part["stands"], part["phases"], part["digest"]) == ("24/24/24", None, None)


def test_a_database_that_is_away_is_a_finding_and_the_image_is_there(
    reader: Callable[..., PlanReader], cloud: Cloud
) -> None:
    part = reader(cloud, Image(), Database(None, {})).read_migrations()
    assert said(part) == [("reading", "lab_database_reader", "Can't connect to MySQL server")]
    assert (part["digest"], part["release"], part["phases"]) == ("sha256:1", "13.0.4", None)


def test_the_image_of_another_release_is_a_finding(
    reader: Callable[..., PlanReader], cloud: Cloud
) -> None:
    part = reader(cloud, Image("14.2.0")).read_migrations()
    assert said(part) == [("image", "keystone-rollout/upgrade:13.0.4", "14.2.0")]


@pytest.mark.parametrize(
    ("target", "found"),
    [("13.0.4.dev7", []), ("13.0.4", ["13.0.4.dev7"]), ("13.0.4.dev6", ["13.0.4.dev7"])],
)
def test_the_image_of_another_build_is_a_finding(
    reader: Callable[..., PlanReader], cloud: Cloud, target: str, found: list[str]
) -> None:
    part = reader(cloud.model_copy(update={"target": target}), Image("13.0.4.dev7"))
    assert [measured for _, _, measured in said(part.read_migrations())] == found


def test_a_schema_of_a_later_release_is_a_finding(
    reader: Callable[..., PlanReader], cloud: Cloud
) -> None:
    database = Database(image_listings.numbers(52, 52, 52), {})
    part = reader(cloud, Image(), database).read_migrations()
    ((check, _, measured),) = said(part)
    assert check == "heads"
    assert "keystone_expand stands at 52, past the image's head 44" in measured
    assert part["phases"] is None


def test_the_schema_is_read_table_by_table(reader: Callable[..., PlanReader], cloud: Cloud) -> None:
    database = Database(None, {"user": 1800})
    assert reader(cloud, Image(), database).read_schema() == {
        "schema": "keystone", "findings": [],
        "tables": {"user": {"rows": 7, "exact": True, "bytes": 4096}},
    }  # fmt: skip


def test_small_tables_are_counted_and_large_ones_are_not_read() -> None:
    database = Database(None, {"user": 1800, "revocation_event": 2_000_000, "odd`one": 0})
    sizes = read_table_sizes(database, "keystone")  # type: ignore[arg-type]
    assert sizes == {
        "user": {"rows": 7, "exact": True, "bytes": 4096},
        "revocation_event": {"rows": 2_000_000, "exact": False, "bytes": 4096},
        "odd`one": {"rows": 7, "exact": True, "bytes": 4096},
    }
    assert database.counted == [
        "SELECT COUNT(*) FROM `keystone`.`user`", "SELECT COUNT(*) FROM `keystone`.`odd``one`",
    ]  # fmt: skip


@pytest.fixture
def haproxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Balancer]:
    with in_memory_haproxy(Balancer()) as balancer:
        monkeypatch.setenv("AIRFLOW_CONN_LAB_HAPROXY", f"generic://127.0.0.1:{balancer.port}")
        yield balancer


def nodes(cloud: Cloud, *reports: str) -> AllNodes:
    machines = zip(cloud.node_names, map(Machine, reports), strict=True)
    return AllNodes(cloud, dict(machines))


@pytest.fixture
def read(cloud: Cloud, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    return lambda *reports: PlanReader(
        run_with(cloud, tmp_path, nodes=nodes(cloud, *reports))
    ).read_nodes()


def test_nodes_stand_in_the_order_of_the_upgrade_with_release_and_server(
    read: Callable[..., dict[str, Any]], haproxy: Balancer
) -> None:
    part = read("12.0.3 1 2", "12.0.3 1 2", "13.0.4 1 2")
    assert part["findings"] == []
    assert [(each["name"], each["release"], each["states"]) for each in part["nodes"]] == [
        ("keystone-1", "12.0.3 running", {"haproxy": "ready/UP"}),
        ("keystone-2", "12.0.3 running", {"haproxy": "ready/UP"}),
        ("keystone-3", "13.0.4 running", {"haproxy": "ready/UP"}),
    ]
    assert not [command for command in haproxy.commands if not command.startswith("show ")]


def test_what_is_wrong_with_nodes_and_servers_is_found_at_once(
    read: Callable[..., dict[str, Any]], haproxy: Balancer
) -> None:
    haproxy.servers["keystone-2"].admin = 0x01
    del haproxy.servers["keystone-3"]
    part = read("", "11.0.4 1 2", "12.0.3 1 stopped")
    assert said(part) == [
        ("reading", "keystone-1", "no route to host"),
        ("release", "keystone-2", "11.0.4 running"),
        ("capacity", "haproxy/keystone-2", "maint/MAINT"),
        ("release", "keystone-3", "12.0.3 installed, service stopped"),
        ("server", "haproxy/keystone-3 of keystone-3", "unknown"),
    ]
    assert part["nodes"][0]["release"] == "unknown: no route to host"
    assert part["nodes"][0]["states"] == {"haproxy": "ready/UP"}


def test_a_load_balancer_that_is_away_is_found_once(
    read: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAB_HAPROXY", "generic://127.0.0.1:1")
    part = read(*["12.0.3 1 2"] * 3)
    ((_, subject, measured),) = said(part)
    assert subject == "HAProxy haproxy"
    assert "does not answer" in measured
    assert {each["states"]["haproxy"] for each in part["nodes"]} == {"not known"}


def test_only_a_plan_takes_a_pair_that_is_no_hop() -> None:
    with pytest.raises(CloudFileError, match="take Pike → Queens → Rocky"):
        load_cloud("lab", "12.0.3", "14.2.0")
    cloud = load_cloud("lab", "12.0.3", "14.2.0", any_hop=True)
    assert cloud.upgrade_container.image == "keystone-rollout/upgrade:14.2.0"
    with pytest.raises(CloudFileError, match="allowed is a Keystone version"):
        load_cloud("lab", "12.0.3", "queens", any_hop=True)
