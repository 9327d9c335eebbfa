"""Make a private build's source archive out of a released one: the same files, another version."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

VERSION_LINE = re.compile(rb"^Version: .*$", re.MULTILINE)


def repack(archive: Path, version: str, folder: Path) -> Path:
    """Write a source archive again under *version* into *folder*, and return its path.

    Its folder and its metadata (PKG-INFO) say the new version; all else stays as it was. Raises
    ValueError for what is no source archive of one project.
    """
    with tarfile.open(archive, "r:gz") as old:
        members = old.getmembers()
        roots = {member.name.split("/")[0] for member in members}
        if len(roots) != 1 or f"{min(roots)}/PKG-INFO" not in old.getnames():
            raise ValueError(f"{archive} is no source archive: it holds {', '.join(sorted(roots))}")
        root = roots.pop()
        project = root.rsplit("-", 1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{project}-{version}.tar.gz"
        with tarfile.open(path, "w:gz") as new:
            for member in members:
                content = old.extractfile(member).read() if member.isfile() else b""  # type: ignore[union-attr]
                if member.name.endswith("/PKG-INFO"):
                    content = VERSION_LINE.sub(f"Version: {version}".encode(), content, count=1)
                member.name = f"{project}-{version}" + member.name[len(root) :]
                member.size = len(content)
                # A long path stands in an extra header as well, which would have the last word.
                member.pax_headers = {}
                new.addfile(member, io.BytesIO(content))
    return path
