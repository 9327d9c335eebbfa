"""Give every task of every DAG a limit of last resort."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

TASK_LIMIT: dict[str, Any] = {"execution_timeout": timedelta(days=3)}
"""More than a task waits for by the cloud file's limits, each of which ends its own wait first and
says so. A DAG is made before its cloud is known, so this one cannot stand in the cloud file."""
