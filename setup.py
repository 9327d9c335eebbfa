"""Put the project's folders below the one package that the wheel claims."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
PACKAGE = "keystone_rollout"
# Where each folder is in the wheel. Of the documentation only the pages: DAGs show them.
FOLDERS = {
    PACKAGE: "plugins/keystone_rollout",
    f"{PACKAGE}.dags": "dags",
    f"{PACKAGE}.include": "include",
    f"{PACKAGE}.plugins.operators": "plugins/operators",
    f"{PACKAGE}.plugins.sensors": "plugins/sensors",
}
DOCS = f"{PACKAGE}.docs"


def packages() -> dict[str, str]:
    """Return the folder of each package: every one below FOLDERS."""
    found = {DOCS: "docs"}
    for package, folder in FOLDERS.items():
        top = ROOT / folder
        for path in [top, *sorted(top.rglob("*"))]:
            if path.is_dir() and path.name != "__pycache__":
                found[".".join((package, *path.relative_to(top).parts))] = str(
                    path.relative_to(ROOT)
                )
    return found


setup(
    packages=list(packages()),
    package_dir=packages(),
    package_data={"": ["*"], DOCS: ["*.md"]},
    exclude_package_data={"": ["*.pyc"], DOCS: ["*.json"]},
)
