"""Trust is in one place: no other module names a certificate, a CA, or whether one is verified."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.source import PACKAGE, ROOT, modules, tree

TRUST = (f"{PACKAGE}.domain.cloud.tls", f"{PACKAGE}.hooks.trust")
EXCEPTIONS = {
    "machine.package_index": "fetches packages, before there is a cloud file",
    "lab.releases.packages": "builds from the package index",
    "production.images": "builds from the package index",
    "lab.data.known_users": "keeps this machine's proxy away from the lab's plain HTTP",
    f"{PACKAGE}.hooks.notifiers.choice": "the mail provider's own words for STARTTLS and TLS",
    f"{PACKAGE}.domain.cloud.connections": "the same words, in the connection that is printed",
}
"""Modules that speak of TLS and of no cloud, each with the reason."""

NAMES = re.compile(
    r"_*(ssl\w*|ca_?file|ca_?path|ca_?certs?|ca_?bundle|cert|cert_?file|key_?file|cert_reqs"
    r"|cert_verify|load_cert_chain|load_verify_locations|check_hostname|server_hostname"
    r"|assert_hostname|insecure\w*|verify_mode|trust_env|certifi)",
    re.IGNORECASE,
)
"""Of arguments, attributes and modules."""
TEXTS = re.compile(
    r"\bssl\b|\bssl[-_]|_ssl\b|(SSL|CURL|REQUESTS|PIP)_(CERT|CA)|CA_BUNDLE|check_hostname|insecure"
)
SSH = {"key_file"}
"""An SSH key, which proves who we are and not who they are."""


def trusts(syntax: ast.Module) -> Iterator[int]:
    """Yield the lines in which a module decides about trust, or says so to a library."""
    skipped = {id(each) for each in _docstrings(syntax)}
    for node in ast.walk(syntax):
        texts = [] if id(node) in skipped else _texts(node)
        if (
            any(NAMES.fullmatch(name) for name in _names(node) if name not in SSH)
            or any(TEXTS.search(text) for text in texts)
            or _sets_verify(node)
        ):
            yield node.lineno  # type: ignore[attr-defined]


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.keyword | ast.arg) and node.arg:
        yield node.arg
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Import):
        yield from (part for alias in node.names for part in alias.name.split("."))
    elif isinstance(node, ast.ImportFrom):
        yield from (node.module or "").split(".")
        yield from (alias.name for alias in node.names)


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _sets_verify(node: ast.AST) -> bool:
    """Many things are verified: it is about trust where it is an argument or is set."""
    if isinstance(node, ast.keyword):
        return node.arg == "verify"
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "verify"
        and isinstance(node.ctx, ast.Store)
    )


def _docstrings(syntax: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(syntax):
        body = getattr(node, "body", None)
        for each in body if isinstance(body, list) else ():
            if isinstance(each, ast.Expr):
                yield each.value


def scanned() -> dict[str, Path]:
    """Return every module of ours, those that run in Locust's process included."""
    load = {f"include.{path.stem}": path for path in (ROOT / "include" / "locust").glob("*.py")}
    return modules() | load


def test_no_module_outside_names_a_certificate() -> None:
    found = {
        name: lines
        for name, path in scanned().items()
        if not name.startswith(TRUST) and name not in EXCEPTIONS
        if (lines := list(trusts(tree(path))))
    }
    assert found == {}, "whom to trust is said in section tls, and by hooks/trust to the libraries"


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_is_one(name: str) -> None:
    assert list(trusts(tree(modules()[name]))), f"{name} has nothing to except"


def test_what_decides_is_seen_where_it_is() -> None:
    inside = {name for name, path in scanned().items() if list(trusts(tree(path)))}
    assert inside - EXCEPTIONS.keys() == {
        f"{PACKAGE}.domain.cloud.tls",
        *(f"{PACKAGE}.hooks.trust.{each}" for each in ("certificates", "databases", "sessions")),
    }
    assert "include.keystone_calls" in scanned()


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("requests.get(url, verify=False)", True),
        ("session.verify = False", True),
        ("import ssl", True),
        ("from gevent.ssl import create_default_context", True),
        ("import certifi", True),
        ("Session(auth=auth, cert='x')", True),
        ("context.check_hostname = False", True),
        ("FastHttpSession(insecure=True)", True),
        ("class U(FastHttpUser):\n    host = 'x'\n    client = Session(insecure=False)", True),
        ("pool = Pool(ssl_context_factory=f)", True),
        ("MySQLdb.connect(ssl={'ca': 'x'})", True),
        ("options = {'ssl_ca': path}", True),
        ("line = f'ssl-ca={path}'", True),
        ("os.environ['REQUESTS_CA_BUNDLE'] = path", True),
        ("PASSED_ON = ('PATH', 'SSL_CERT_FILE')", True),
        ("path = cloud.tls.ca_file", True),
        ("def f(cafile): pass", True),
        ("backup.verify(name)", False),
        ("verify = VerifyNodesOperator(task_id='verify')", False),
        ("Verdict(check='certificate', measured='not verified')", False),
        ("SSHHook(key_file='x')", False),
        ("trusting_session(cloud.tls)", False),
        ('"""Take ssl_ca, and REQUESTS_CA_BUNDLE."""', False),
    ],
)
def test_a_decision_elsewhere_would_be_seen(line: str, seen: bool) -> None:
    assert bool(list(trusts(ast.parse(line)))) is seen


TRUSTING = {
    "KeystoneApiHook", "NodeProver", "AcknowledgedWritesHook", "DatabaseHook", "SchemaReader",
    "generator.start",
}  # fmt: skip
"""What opens connections; without the cloud's section it would take this machine's own list."""
DRIVERS = {"MySqlHook"}
"""What would open one past it."""


def forgets_trust(syntax: ast.Module) -> Iterator[str]:
    """Yield each call that opens connections and is not given section `tls`."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = [*node.args, *(each.value for each in node.keywords)]
            told = any(ast.unparse(each).endswith("tls") for each in given)
            if called in DRIVERS or (not told and called.endswith(tuple(TRUSTING))):
                yield f"{node.lineno}: {called}"


def test_whatever_opens_connections_is_told_whom_to_trust() -> None:
    product = {n: p for n, p in modules().items() if p.is_relative_to(ROOT / "plugins")}
    assert {n: found for n, p in product.items() if (found := [*forgets_trust(tree(p))])} == {}
    text = "".join(path.read_text(encoding="utf-8") for path in product.values())
    assert [each for each in TRUSTING if f"{each}(" not in text] == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("DatabaseHook(name)", True),
        ("DatabaseHook(name, cloud.tls)", False),
        ("MySqlHook(mysql_conn_id=name)", True),
        ("NodeProver(conn, url, 0, tls=cloud.tls)", False),
        ("self.generator.start(profile, account)", True),
        ("thread.start()", False),
    ],
)
def test_a_forgotten_section_would_be_seen(line: str, seen: bool) -> None:
    assert bool(list(forgets_trust(ast.parse(line)))) is seen
