"""A check in the image is a row: which releases have it, and what its answers mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.domain.releases.identity import parse_identity
from keystone_rollout.domain.releases.image_checks import CHECKS, DOCTOR
from keystone_rollout.hooks.files.cloud_file import load_cloud

DEBUG = "WARNING: `keystone.conf [DEFAULT] debug` is enabled."
CACHE = "WARNING: `keystone.conf [cache] enabled` is not enabled."
ERROR = "2026-03-01 10:00:00.200 7 ERROR keystone [-] no database"


def cloud(*accepted: str) -> Cloud:
    lab = load_cloud("lab")
    doctor = lab.doctor.model_copy(update={"accepted_symptoms": list(accepted)})
    return lab.model_copy(update={"doctor": doctor})


@pytest.mark.parametrize(
    ("status", "lines", "accepted"), [(0, [], ""), (1, [DEBUG], "debug"), (0, [DEBUG], "debug")]
)
def test_an_answer_without_an_open_finding_is_good(
    status: int, lines: list[str], accepted: str
) -> None:
    assert DOCTOR.violation(cloud(*filter(None, [accepted])), status, lines) is None


@pytest.mark.parametrize(
    ("status", "lines", "said"),
    [
        (1, [DEBUG, CACHE], "1 (something found), 2 symptom(s), not accepted: `keystone.conf"),
        (0, [CACHE], "0 (nothing found), 1 symptom(s), not accepted: `keystone.conf"),
        (0, [ERROR], f"0 (nothing found), 0 symptom(s), not accepted: {ERROR}"),
        (1, [DEBUG, ERROR], f"1 (something found), 1 symptom(s), not accepted: {ERROR}"),
        (1, [], "1 (something found), 0 symptom(s), not accepted: unknown"),
        (137, [DEBUG], "137 (it broke off), 1 symptom(s), not accepted: unknown"),
        (2, [], "2 (it broke off), 0 symptom(s), not accepted: unknown"),
    ],
)  # fmt: skip
def test_whatever_is_not_accepted_is_said_with_what_follows(
    status: int, lines: list[str], said: str
) -> None:
    text = DOCTOR.violation(cloud("debug"), status, lines)
    assert text is not None
    assert text.startswith(f"doctor: exit status {said}")
    assert text.endswith(
        ". Nothing was changed. Next: repair the configuration, or accept the symptom in "
        "doctor.accepted_symptoms of the cloud file"
    )


def test_a_release_before_or_after_has_no_such_check() -> None:
    row = replace(DOCTOR, since=11, until=13)
    releases = ("10.0.3", "11.0.4", "12.0.3", "13.0.4")
    assert [row.is_in(parse_identity(each)) for each in releases] == [False, True, True, False]
    assert all(DOCTOR.is_in(parse_identity(each)) for each in ("10.0.3", "30.0.0"))


@pytest.mark.parametrize("name", CHECKS)
def test_a_row_names_a_list_of_the_cloud_file(name: str) -> None:
    assert CHECKS[name].violation(cloud(), 0, []) is None
