"""A request that is held open is found among the sessions of a load balancer."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.held_session import Session, held_session, parse_sessions

SHOW_SESS = """\
0x5566e5dff820: proto=tcpv4 src=127.0.0.1:56742 fe=keystone be=keystone srv=keystone-2 ts=00 \
epoch=0 age=2s calls=2 rate=0 cpu=0 lat=0 rq[f=c40080h,i=0,an=8000h,rx=,wx=,ax=] exp=3s rc=0
0x7f06bc034350: proto=tcpv4 src=127.0.0.1:56748 fe=keystone be=keystone srv=keystone-1 ts=00 \
epoch=0 age=1m3s calls=2 rate=0 cpu=0 lat=0 rq[f=c40080h,i=0,an=8000h,rx=,wx=,ax=] exp=3s rc=0
0x7f06bc035410: proto=tcpv4 src=127.0.0.1:50516 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 \
age=0s calls=1 rate=1 cpu=0 lat=0 rq[f=c08002h,i=0,an=00h,rx=2m,wx=,ax=] exp=2m rc=0 c_exp=

"""


def test_sessions_are_read_with_server_and_age() -> None:
    assert parse_sessions(SHOW_SESS) == [
        Session("0x5566e5dff820", "keystone-2", 2),
        Session("0x7f06bc034350", "keystone-1", 63),
    ]
    assert parse_sessions("\n") == []


class _Balancer(socketserver.ThreadingTCPServer):
    """Give each connection to the next server in turn, and say so as `show sess` does."""

    allow_reuse_address = True
    daemon_threads = True
    servers = ("keystone-3", "keystone-2", "keystone-1")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.open: dict[int, tuple[str, float]] = {}
        self.received: dict[int, bytes] = {}
        self.count = 0

    def held(self) -> list[str]:
        """Return the server of each open connection."""
        with self.lock:
            return [server for server, _ in self.open.values()]

    def show_sess(self, command: str) -> str:
        assert command == "show sess"
        with self.lock:
            return "".join(
                f"0x{number:x}: proto=tcpv4 fe=keystone be=keystone srv={server} ts=00 "
                f"age={time.monotonic() - since:.0f}s calls=1\n"
                for number, (server, since) in self.open.items()
            )


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        balancer = self.server
        assert isinstance(balancer, _Balancer)
        with balancer.lock:
            number = balancer.count = balancer.count + 1
            server = balancer.servers[(number - 1) % len(balancer.servers)]
            balancer.open[number] = (server, time.monotonic())
            balancer.received[number] = b""
        while data := self.request.recv(65536):
            balancer.received[number] += data
        with balancer.lock:
            del balancer.open[number]


@pytest.fixture
def in_turn() -> Iterator[_Balancer]:
    with _Balancer() as balancer:
        thread = threading.Thread(target=balancer.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield balancer
        balancer.shutdown()
        thread.join()


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_a_session_with_the_wanted_server_is_held_and_no_other(in_turn: _Balancer) -> None:
    port = in_turn.server_address[1]
    with held_session("keystone-1", port, in_turn.show_sess):
        wait_until(lambda: in_turn.held() == ["keystone-1"])
        kept = in_turn.received[3]
        # Two bytes, so one of them was sent after the others had been given up.
        wait_until(lambda: len(in_turn.received[3]) > len(kept) + 1)
        assert in_turn.held() == ["keystone-1"]
        head, _, body = in_turn.received[3].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /v3/auth/tokens HTTP/1.1\r\n")
        assert b"Content-Length: 100000" in head
        assert body.startswith(b"{ ")
    wait_until(lambda: in_turn.held() == [])


def test_a_server_that_gets_no_request_is_an_error(in_turn: _Balancer) -> None:
    in_turn.servers = ("keystone-2",)
    with (
        pytest.raises(AssertionError, match="none of 2 requests was sent to keystone-1"),
        held_session("keystone-1", in_turn.server_address[1], in_turn.show_sess, attempts=2),
    ):
        pass
    wait_until(lambda: in_turn.held() == [])
