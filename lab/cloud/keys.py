"""SSH and Fernet keys of the lab."""

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab import paths
from lab.topology import NODES
from machine.files import write_private


def ensure_keys() -> None:
    """Make the client key, the nodes' host keys, known_hosts and both key repositories."""
    ensure_ssh_key(paths.CLIENT_KEY, "rollout")
    for node in NODES:
        ensure_ssh_key(paths.host_key(node.name), node.name)
    lines = [f"[127.0.0.1]:{node.ssh_port} {public_key(node.name)}\n" for node in NODES]
    paths.KNOWN_HOSTS.write_text("".join(lines))
    for repository in (paths.FERNET_KEYS, paths.CREDENTIAL_KEYS):
        ensure_key_repository(repository)


def public_key(node: str) -> str:
    """Return type and base64 of the host key of *node*, without the comment."""
    content = paths.host_key(node).with_suffix(".pub").read_text()
    return " ".join(content.split()[:2])


def ensure_ssh_key(path: Path, comment: str) -> None:
    """Make an ed25519 key pair in OpenSSH's format if *path* does not exist."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    path.with_suffix(".pub").write_text(f"{public.decode()} {comment}\n")
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    write_private(path, private)


def ensure_key_repository(directory: Path) -> None:
    """Make a repository with a staged key 0 and a primary key 1, as Keystone's setup does."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name in ("0", "1"):
        path = directory / name
        if not path.exists():
            write_private(path, base64.urlsafe_b64encode(os.urandom(32)))
