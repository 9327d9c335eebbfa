"""The kinds of nodes: Debian packages, or RPM packages under httpd.

`report_release` prints three words: installed version, when it was installed (epoch seconds), and
when the running service started (epoch seconds, or "stopped"). A process that is older than the
installation still runs the old release, although the package is new.
"""

from __future__ import annotations

from keystone_rollout.domain.node.kinds.apt import APT
from keystone_rollout.domain.node.kinds.rpm import DNF, YUM
from keystone_rollout.domain.node.kinds.texts import Preset

PRESETS: dict[str, Preset] = {"apt": APT, "dnf": DNF, "yum": YUM}
