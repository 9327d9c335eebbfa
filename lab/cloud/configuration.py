"""Prepared configuration per release, for the nodes and the upgrade container."""

import os
import shutil
import subprocess
import sys

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from keystone_rollout.domain.releases.catalogue import Option
from keystone_rollout.domain.releases.identity import Identity
from lab import paths
from lab.cloud.secrets import Secrets
from lab.hop import Hop
from lab.releases.builds import Build
from lab.topology import ADMIN, DATABASE, NODE_ACCOUNT, PUBLIC_URL, READER
from machine.errors import CommandError
from machine.files import write_private


def connection_url(password: str) -> str:
    """Return Keystone's database URL."""
    return f"mysql+pymysql://keystone:{password}@database/{DATABASE}?charset=utf8"


def render(hop: Hop, build: Build, secrets: Secrets) -> str:
    """Return keystone.conf of one of the releases of an upgrade."""
    environment = Environment(
        loader=FileSystemLoader(paths.TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    text = environment.get_template("keystone.conf.j2").render(
        build=build,
        connection=connection_url(secrets.database_keystone),
        public_endpoint=PUBLIC_URL.removesuffix("/v3"),
        memcached=hop.memcached(build),
    )
    for option in hop.options(build):
        text = with_option(text, option)
    return text


def with_option(text: str, option: Option) -> str:
    """Return a keystone.conf's text with one more option, in its section."""
    lines = text.splitlines()
    header = f"[{option.section}]"
    if header not in lines:
        lines += ["", header]
    at = lines.index(header) + 1
    lines[at:at] = [f"# {option.why}", f"{option.option} = {option.value}"]
    return "\n".join(lines) + "\n"


def write_configuration(hop: Hop, build: Build, secrets: Secrets) -> None:
    """Write the directory of a release, complete: keystone.conf and key repositories."""
    directory = paths.CONFIGURATION / build.version
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    write_private(directory / "keystone.conf", render(hop, build, secrets))
    for repository in (paths.FERNET_KEYS, paths.CREDENTIAL_KEYS):
        shutil.copytree(repository, directory / repository.name, dirs_exist_ok=True)


def write_sudoers(source: Identity, target: Identity) -> None:
    """Write the sudoers file of the nodes' account for this upgrade, as an operator would print it.

    Raises CommandError with the reason if there is no such upgrade.
    """
    environment = {**os.environ, "PYTHONPATH": str(paths.PLUGINS)}
    environment.pop("ROLLOUT_CLOUDS", None)
    command = [
        sys.executable,
        "-m",
        "keystone_rollout.cli.sudoers",
        "lab",
        "--account",
        NODE_ACCOUNT,
    ]
    command += ["--source", source.version, "--target", target.version]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandError(f"the nodes' sudoers file could not be made: {done.stderr.strip()}")
    write_private(paths.SUDOERS, done.stdout)


def write_accounts(secrets: Secrets) -> None:
    """Write the SQL that MariaDB applies at every start; one statement a line, as it demands."""
    accounts = (
        ("keystone", secrets.database_keystone, f"ALL PRIVILEGES ON {DATABASE}.*", ""),
        (ADMIN, secrets.database_admin, "ALL PRIVILEGES ON *.*", " WITH GRANT OPTION"),
        (READER, secrets.database_reader, f"SELECT, SHOW VIEW ON {DATABASE}.*", ""),
    )
    lines = [
        "SET sql_log_bin=0;",
        f"CREATE DATABASE IF NOT EXISTS {DATABASE};",
        "ALTER USER 'root'@'localhost' IDENTIFIED VIA unix_socket OR mysql_native_password "
        f"USING PASSWORD('{secrets.database_root}');",
    ]
    for name, password, privileges, option in accounts:
        lines += [
            f"CREATE USER IF NOT EXISTS '{name}'@'%' IDENTIFIED BY '{password}';",
            f"ALTER USER '{name}'@'%' IDENTIFIED BY '{password}';",
            f"GRANT {privileges} TO '{name}'@'%'{option};",
        ]
    write_private(paths.DATABASE / "accounts.sql", "\n".join(lines) + "\n")
