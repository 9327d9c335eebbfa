"""Name the kinds of nodes: Debian packages, or RPM packages under httpd.

`report_release` prints three words: installed version, when it was installed (epoch seconds), and
when the running service started (epoch seconds, or "stopped"). A process that is older than the
installation still runs the old release, whatever the package says.
"""

from __future__ import annotations

from keystone_rollout.domain.node.apt import APT
from keystone_rollout.domain.node.preset_texts import Preset
from keystone_rollout.domain.node.rpm import DNF, YUM

PRESETS: dict[str, Preset] = {"apt": APT, "dnf": DNF, "yum": YUM}
