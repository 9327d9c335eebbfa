"""The kinds of nodes: Debian packages, or RPM packages under httpd.

`report_release` prints one line, see domain.node.release_report: what is installed, and which
process was started when. One that is older than the installation still runs the old release.
"""

from __future__ import annotations

from keystone_rollout.domain.node.kinds.apt import APT
from keystone_rollout.domain.node.kinds.rpm import DNF, YUM
from keystone_rollout.domain.node.kinds.texts import Preset

PRESETS: dict[str, Preset] = {"apt": APT, "dnf": DNF, "yum": YUM}
