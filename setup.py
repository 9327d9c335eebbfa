"""Put the project's folders, as they are, below one package: nothing else claims a name."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
PACKAGE = "keystone_rollout"
FOLDERS = ("dags", "plugins", "include")
# Of the documentation only what is shown on the DAGs' pages and printed on their way.
PAGES = "docs"


def folders() -> dict[str, str]:
    """Return the folder of each package: every one that holds a file."""
    found = {PACKAGE: PACKAGE, f"{PACKAGE}.{PAGES}": PAGES}
    for name in FOLDERS:
        for path in [ROOT / name, *sorted((ROOT / name).rglob("*"))]:
            if path.is_dir() and path.name != "__pycache__":
                relative = path.relative_to(ROOT)
                found[".".join((PACKAGE, *relative.parts))] = str(relative)
    return found


setup(
    packages=list(folders()),
    package_dir=folders(),
    package_data={"": ["*", ".airflowignore"], f"{PACKAGE}.{PAGES}": ["*.md"]},
    exclude_package_data={"": ["*.pyc"], f"{PACKAGE}.{PAGES}": ["*.json"]},
)
