"""Write the reference of the cloud file into docs/ (`make reference`)."""

from __future__ import annotations

import sys
from pathlib import Path

from keystone_rollout.hooks.files.project import PROJECT
from keystone_rollout.views.cloud_reference import keys_without_meaning, reference_page

PAGE = Path("docs") / "cloud-file.md"


def main(project: Path = PROJECT) -> int:
    """Write the page; return 1, with their names on stderr, if keys lack a description."""
    lacking = keys_without_meaning()
    if lacking:
        print(
            f"error: nothing is said about {', '.join(lacking)}; {PAGE} was not written. Next: "
            "add Field(description=...) to the model, or the variable to "
            "domain.node.kinds.texts",
            file=sys.stderr,
        )
        return 1
    (project / PAGE).write_text(reference_page(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
