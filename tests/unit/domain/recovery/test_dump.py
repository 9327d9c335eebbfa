"""A dump is loaded only if it is whole, and stays in the schema it is loaded into."""

from __future__ import annotations

import pytest

from keystone_rollout.domain.recovery.dump import scan_dump

GOOD = r"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: 127.0.0.1    Database: keystone
-- ------------------------------------------------------
-- Server version	10.11.18-MariaDB-log

DROP TABLE IF EXISTS `user`;
CREATE TABLE `user` (
  `id` varchar(64) NOT NULL
);
INSERT INTO `user` VALUES ('use keystone;\nDROP DATABASE keystone;');
/*!50003 CREATE*/ /*!50003 trigger t before insert on user for each row begin
 use index (x);
end */;;

-- Dump completed on 2026-03-01 10:00:00
"""


def scan(text: str) -> list[str]:
    return scan_dump(text.encode().splitlines(keepends=True), "keystone")


def test_a_complete_dump_of_one_schema_is_good() -> None:
    assert scan(GOOD) == []
    assert (
        scan(GOOD.replace("MariaDB dump", "MySQL dump").replace(" on 2026-03-01 10:00:00", ""))
        == []
    )


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("USE `keystone`;", "USE"),
        ("use keystone;", "USE"),
        ("CREATE DATABASE /*!32312 IF NOT EXISTS*/ `keystone`;", "CREATE"),
        ("/*!40000 DROP DATABASE IF EXISTS `keystone`*/;", "DROP"),
        ("ALTER DATABASE `keystone` CHARACTER SET latin1;", "ALTER"),
        ("  create schema other;", "CREATE"),
    ],
)
def test_a_dump_that_leaves_its_schema_is_refused_with_the_line(statement: str, word: str) -> None:
    text = GOOD.replace("DROP TABLE IF EXISTS", f"{statement}\nDROP TABLE IF EXISTS")
    assert scan(text) == [f"line 8 leaves the schema with {word}"]


def test_a_dump_that_was_cut_off_is_refused() -> None:
    (found,) = scan(GOOD[: GOOD.index("/*!50003")])
    assert found == "its last line is not '-- Dump completed', as a complete dump's"
    assert scan("")[-1] == found


@pytest.mark.parametrize("text", [
    "{}\n", "-- MariaDB dump {}\n-- Host: {}    Database: {}\n", "-- MariaDB dump \nUSE {}\n",
    "DROP DATABASE {}\n-- Host: {} Database: {}", "-- Dump completed {}\n{}", "{}\0{}",
])  # fmt: skip
def test_what_is_wrong_is_said_without_a_word_of_the_file(text: str) -> None:
    key = "J1xQ0mS8n2vQyWl3rT5zB7dF9gH4kP6sX8cV0bN2mA4="
    problems = scan(text.replace("{}", key))
    assert problems
    assert not any(key[at : at + 4] in "; ".join(problems) for at in range(len(key) - 3))


def test_another_schemas_dump_and_another_tools_are_refused() -> None:
    assert scan(GOOD.replace("Database: keystone", "Database: nova")) == [
        "it is a dump of another schema, expected keystone"
    ]
    assert scan(GOOD.replace("Database: keystone", "Database:")) == [
        "it is a dump of no single schema, expected keystone"
    ]
    assert scan(GOOD.replace("-- MariaDB dump", "-- mydumper")) == [
        "its first 10 lines do not name mariadb-dump or mysqldump"
    ]
