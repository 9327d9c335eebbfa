"""Where the lab keeps its files: sources in the repository, state in ``.lab/``."""

from pathlib import Path

from machine import paths as machine_paths

ROOT = machine_paths.ROOT
SOURCES = Path(__file__).resolve().parent
IMAGES = SOURCES / "images"
PINS = SOURCES / "releases"
TEMPLATES = SOURCES / "templates"
PLUGINS = ROOT / "plugins"

STATE = machine_paths.STATE
SECRETS = STATE / "secrets.json"
CONNECTIONS = STATE / "connections.yaml"
SSH = STATE / "ssh"
CLIENT_KEY = SSH / "id_ed25519"
KNOWN_HOSTS = SSH / "known_hosts"
FERNET_KEYS = STATE / "fernet-keys"
CREDENTIAL_KEYS = STATE / "credential-keys"
CONFIGURATION = STATE / "etc"
PACKAGES = STATE / "packages"
SERVED_PACKAGES = PACKAGES / "served"
SEED = STATE / "seed"
PRESENT_SEED = SEED / "present"
DATABASE = STATE / "database"
SUDOERS = STATE / "sudoers"
LOG = machine_paths.LOG
COMPOSE_ENV = STATE / "compose.env"
LAB = STATE / "lab.json"


def host_key(node: str) -> Path:
    """Return the private SSH host key of *node*."""
    return SSH / "host" / f"{node}_ed25519"


def make_state_directories() -> None:
    """Create the directories under ``.lab/``; those that hold secrets for the owner alone."""
    for directory in (STATE, PACKAGES, LOG, SEED):
        directory.mkdir(parents=True, exist_ok=True)
    for private in (SSH, SSH / "host", CONFIGURATION, DATABASE):
        private.mkdir(parents=True, exist_ok=True)
        private.chmod(0o700)
