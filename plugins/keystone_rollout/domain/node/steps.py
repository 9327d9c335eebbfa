"""Render the commands that take a node from one release to another.

Every step is a template, so that upgrading and rolling back are the same text with another release.
Commands are idempotent: a dropped SSH session leaves the remote command running.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from itertools import product
from typing import Literal

from jinja2 import Environment, StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, model_validator

from keystone_rollout.domain.node.kinds.presets import PRESETS
from keystone_rollout.domain.node.privileges import privilege_problem, unlisted_commands
from keystone_rollout.domain.node.release_report import noting, with_note
from keystone_rollout.domain.releases.identity import Identity, parse_identity
from keystone_rollout.domain.section import Section


class Step(StrEnum):
    """The steps of a node; those of a cycle in its order."""

    KEEP_CURRENT = "keep_current"
    ENABLE_REPOSITORY = "enable_repository"
    STAGE = "stage"
    STOP = "stop"
    INSTALL = "install"
    CONFIGURE = "configure"
    START = "start"
    REPORT_RELEASE = "report_release"
    KEY_FINGERPRINT = "key_fingerprint"
    REPORT_CACHE = "report_cache"
    CHECK_KEPT = "check_kept"
    FLUSH_CACHE = "flush_cache"


_ANY_FACTS = {
    "name": "cloud",
    "source": "12.0.3",
    "target": "13.0.4",
    "key_repository": "/etc/keystone/fernet-keys",
}
"""Stand-ins for Cloud.node_facts: a template has to render before the whole cloud is known."""


class NodeSteps(Section):
    """A preset, its variables, and replacements for single steps."""

    preset: Literal["apt", "dnf", "yum"] = Field(description="kind of node")
    variables: dict[str, str] = Field({}, description="values the preset's templates name")
    override: dict[Step, str] = Field({}, description="step → template that replaces the preset's")
    privileges: list[str] = Field(
        [],
        description="templates of the commands that overridden steps run through sudo beyond the "
        "preset's: absolute path of the program, and every argument",
    )
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
        if not missing:
            problems += _template_problems(self)
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _template_problems(steps: NodeSteps) -> Iterator[str]:
    texts: dict[Step, str] = {}
    for step in Step:
        try:
            texts[step] = render(steps, step, _ANY_FACTS["target"], _ANY_FACTS)
        except (TemplateError, ValueError) as error:
            yield f"{step.value}: {error}"
    try:
        privileges = render_privileges(steps, _ANY_FACTS)
    except (TemplateError, ValueError) as error:
        yield f"privileges: {error}"
        return
    for step in sorted(texts.keys() & steps.override.keys()):
        for command in unlisted_commands(texts[step], privileges):
            yield (
                f"{step.value}: runs `sudo -n {command}`, which is in no privilege; add it to "
                "node_steps.privileges, with its program's absolute path"
            )


@cache
def _environment() -> Environment:
    # Shell commands, not HTML: nothing should be escaped here.
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True
    )


@lru_cache(maxsize=512)
def _template(text: str) -> Template:
    """Compile a template, once each: checking one cloud file renders some thirty, 500 times."""
    return _environment().from_string(text)


Context = Mapping[str, str | StrictUndefined]


def _context(steps: NodeSteps, release: str, facts: Mapping[str, str]) -> Context:
    """Return the variables of a template: facts, the release, and the preset's variables."""
    preset = PRESETS[steps.preset]
    identity = parse_identity(release)
    context: dict[str, str | StrictUndefined] = {
        **facts,
        "release": release,
        "series": str(identity.major),
        "version": identity.version,
        "revision": identity.revision,
        **_names(identity, ""),
    }
    for side in ("source", "target"):
        context |= _names(parse_identity(facts[side]), f"{side}_")
    for name, default in preset.variables.items():
        value = steps.variables.get(name, default)
        if value is None:
            raise ValueError(f"preset {steps.preset} needs variable {name!r}")
        context[name] = _template(value).render(context)
    return context


def _names(identity: Identity, side: str) -> dict[str, str | StrictUndefined]:
    """Return a release's codename and name; an unknown name is an error if it is used."""
    name = identity.series.release_name or StrictUndefined(
        f"{side}release_name: {identity} has no name that is known here, only a number. Next: "
        "write what it is called into the template, or into the preset's variable that names it"
    )
    return {f"{side}codename": identity.codename.lower(), f"{side}release_name": name}


def render(steps: NodeSteps, step: Step, release: str, facts: Mapping[str, str]) -> str:
    """Return the shell command of one step for one release.

    ``facts`` are Cloud.node_facts. Raises jinja2.TemplateError if a template names an undefined
    variable.
    """
    template = steps.override.get(step, PRESETS[steps.preset].steps[step.value])
    return _template(template).render(_context(steps, release, facts)).strip()


def node_command(steps: NodeSteps, step: Step, release: str, facts: Mapping[str, str]) -> str:
    """Return what runs on a node for a step: its text, and what notes a start or shows the note.

    Around the step, so that one of the cloud file's own is noted as well. Raises as `render` does.
    """
    text = render(steps, step, release, facts)
    if step is Step.START:
        return noting(text, render(steps, Step.REPORT_RELEASE, release, facts))
    return with_note(text) if step is Step.REPORT_RELEASE else text


def render_privileges(steps: NodeSteps, facts: Mapping[str, str]) -> list[str]:
    """Return every command that the steps run through sudo, for the source and for the target.

    Raises jinja2.TemplateError if a template names an undefined variable, and ValueError if a
    rendered text is not a privilege.
    """
    found: dict[str, None] = {}
    for template in (*PRESETS[steps.preset].privileges, *steps.privileges):
        for release in (facts["source"], facts["target"]):
            for privilege in _each(steps, template, _context(steps, release, facts)):
                problem = privilege_problem(privilege)
                if problem:
                    raise ValueError(problem)
                found[privilege] = None
    return list(found)


def _each(steps: NodeSteps, template: str, context: Context) -> Iterator[str]:
    """Render a privilege's template once for each combination of the loops that it names."""
    named = meta.find_undeclared_variables(_environment().parse(template))
    loops = {
        name: str(context[variable]).split()
        for name, variable in PRESETS[steps.preset].loops.items()
        if name in named
    }
    for values in product(*loops.values()):
        chosen = dict(zip(loops, values, strict=True))
        text = _template(template).render({**context, **chosen})
        yield " ".join(part for part in text.strip().split(" ") if part)


def configuration_files(steps: NodeSteps, release: str, facts: Mapping[str, str]) -> list[str]:
    """Return the names of the files of /etc/keystone that belong to a release."""
    return str(_context(steps, release, facts)["configuration_files"]).split()
