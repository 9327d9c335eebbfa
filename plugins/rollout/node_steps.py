"""Say with which commands a node is taken from one release to another.

Every step is a template, so that going to the target and going back are the same text with
another release. Commands are idempotent: a dropped SSH session leaves the remote command running.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Literal

from jinja2 import Environment, StrictUndefined, TemplateError
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rollout.node_presets import PRESETS
from rollout.releases import parse_release


class Step(StrEnum):
    """Name the steps a node knows, those of a cycle in the order in which it uses them."""

    KEEP_CURRENT = "keep_current"
    ENABLE_REPOSITORY = "enable_repository"
    STAGE = "stage"
    STOP = "stop"
    INSTALL = "install"
    CONFIGURE = "configure"
    START = "start"
    REPORT_RELEASE = "report_release"
    KEY_FINGERPRINT = "key_fingerprint"
    CHECK_KEPT = "check_kept"
    FLUSH_CACHE = "flush_cache"
    CHECK_PRIVILEGES = "check_privileges"


class NodeSteps(BaseModel):
    """Choose a preset, its variables, and replacements for single steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["apt", "dnf", "yum"]
    variables: dict[str, str] = Field({}, description="values the preset's templates name")
    override: dict[Step, str] = Field({}, description="step → template that replaces the preset's")
    configuration: str | None = Field(
        None,
        description="directory with the target release's configuration files, sent to each node; "
        "none where configuration management puts them into the node's staging directory",
    )

    @model_validator(mode="after")
    def _renders(self) -> NodeSteps:
        variables = PRESETS[self.preset].variables
        problems = [
            f"variable {name!r} is not one of preset {self.preset}; allowed are "
            + ", ".join(sorted(variables))
            for name in sorted(set(self.variables) - set(variables))
        ]
        missing = [
            n for n, default in variables.items() if default is None is self.variables.get(n)
        ]
        problems += [f"preset {self.preset} needs variable {name!r}" for name in missing]
        for step in () if missing else Step:
            try:
                render(self, step, "13.0.4")
            except (TemplateError, ValueError) as error:
                problems.append(f"{step.value}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


@cache
def _environment() -> Environment:
    # Shell commands, not HTML: nothing is to be escaped here.
    return Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)


def render(steps: NodeSteps, step: Step, release: str, facts: Mapping[str, str] = {}) -> str:
    """Return the shell command of one step for one release.

    ``facts`` are values of the run (the key repository, say) that templates may name. Raises
    jinja2.TemplateError where a template names something that nobody defines.
    """
    preset = PRESETS[steps.preset]
    template = steps.override.get(step, preset.steps[step.value])
    context = {
        "key_repository": "/etc/keystone/fernet-keys",
        **facts,
        "release": release,
        "codename": parse_release(release).codename.lower(),
    }
    environment = _environment()
    for name, default in preset.variables.items():
        value = steps.variables.get(name, default)
        if value is None:
            raise ValueError(f"preset {steps.preset} needs variable {name!r}")
        context[name] = environment.from_string(value).render(context)
    return environment.from_string(template).render(context).strip()
