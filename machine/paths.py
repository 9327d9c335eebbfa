"""The directories that all commands of this checkout share: logs, and the inputs of builds."""

from pathlib import Path

SOURCES = Path(__file__).resolve().parent
ROOT = SOURCES.parent
IMAGES = SOURCES / "images"

STATE = ROOT / ".lab"
LOG = STATE / "log"
CA_BUNDLE = STATE / "ca-bundle.crt"


def make_state_directories() -> None:
    """Create the directory of the logs, and the one around it."""
    LOG.mkdir(parents=True, exist_ok=True)
