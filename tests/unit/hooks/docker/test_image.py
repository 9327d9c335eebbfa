"""No wait for Docker is without an end, and the limit that it reached is named."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound
from requests.exceptions import ConnectionError as EngineGone
from requests.exceptions import ReadTimeout

from keystone_rollout.domain.cloud.model import Cloud
from keystone_rollout.hooks.docker import image
from keystone_rollout.hooks.docker.container import PhaseContainer, PhaseContainerError
from keystone_rollout.hooks.docker.image import UpgradeImage, UpgradeImageError
from keystone_rollout.hooks.files.cloud_file import load_cloud
from tests.stand_ins.silent_server import full_server, swallowing_server


@pytest.fixture
def cloud() -> Cloud:
    found = load_cloud("lab")
    limits = found.limits.model_copy(update={"answer_seconds": 1, "phase_seconds": 7})
    return found.model_copy(update={"limits": limits})


@pytest.mark.parametrize("silent", [swallowing_server, full_server])
def test_an_engine_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
    cloud: Cloud,
    silent: Callable[[], AbstractContextManager[int]],
) -> None:
    with silent() as port:
        monkeypatch.setattr(image, "DOCKER", f"tcp://127.0.0.1:{port}")
        with pytest.raises(UpgradeImageError, match=r"cannot be read: Docker at tcp.*Next: repair"):
            UpgradeImage(cloud).digest()
        with pytest.raises(UpgradeImageError, match=r"cannot be read: Docker at tcp.*Next: repair"):
            UpgradeImage(cloud).release()
        with pytest.raises(PhaseContainerError, match=r"still runs is not known: .*Next: repair"):
            PhaseContainer(cloud).wait_for_earlier()


class Engine:
    """Docker's client, which fails at one call."""

    def __init__(self, fails: str = "", error: Exception | None = None) -> None:
        self.fails = fails
        self.error = error
        self.calls: list[str] = []
        self.waited: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if name == self.fails:
                assert self.error is not None
                raise self.error
            if name == "wait":
                self.waited = options.get("timeout")
            return b"13.0.4" if name == "logs" else {"Id": "c1"}

        return call


def image_with(cloud: Cloud, engine: Engine) -> UpgradeImage:
    made = UpgradeImage(cloud)
    made.hook = SimpleNamespace(api_client=engine)  # type: ignore[assignment]
    return made


def test_a_container_is_waited_for_as_long_as_a_phase_may_take(cloud: Cloud) -> None:
    engine = Engine()
    assert image_with(cloud, engine).release() == "13.0.4"
    assert engine.waited == 7
    assert engine.calls[-1] == "remove_container"


@pytest.mark.parametrize("error", [ReadTimeout("Read timed out."), EngineGone("Read timed out.")])
def test_one_that_does_not_end_is_ended_and_the_limit_is_said(
    cloud: Cloud, error: Exception
) -> None:
    engine = Engine("wait", error)
    with pytest.raises(UpgradeImageError) as caught:
        image_with(cloud, engine).release()
    assert "keystone-manage has not ended: measured more than 7 s" in str(caught.value)
    assert "the limit (limits.phase_seconds), and was ended" in str(caught.value)
    assert engine.calls[-1] == "remove_container"


@pytest.mark.parametrize("call", ["create_container", "start", "wait", "logs", "remove_container"])
@pytest.mark.parametrize("error", [NotFound("gone"), APIError("500"), EngineGone("gone")])
def test_an_engine_that_goes_away_is_said(cloud: Cloud, call: str, error: Exception) -> None:
    with pytest.raises(UpgradeImageError, match=r"cannot be read: Docker at unix.* answers "):
        image_with(cloud, Engine(call, error)).release()
