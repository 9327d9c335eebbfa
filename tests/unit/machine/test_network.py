"""Free networks and ports are found before anything is started."""

import socket

import pytest

from machine import network
from machine.errors import CommandError


def test_a_candidate_that_overlaps_a_network_in_use_is_skipped() -> None:
    assert network.choose_prefix(["172.31.213.128/25"]) == "172.31.214"
    assert network.choose_prefix(["172.31.0.0/16"]) == "172.30.213"


def test_an_ipv6_network_overlaps_nothing() -> None:
    assert network.choose_prefix(["fd00::/8"]) == network.CANDIDATES[0]


def test_no_free_network_is_an_error_that_names_what_was_tried() -> None:
    with pytest.raises(CommandError, match=r"all of 172\.31\.213\.0/24, .*192\.168\.213\.0/24"):
        network.choose_prefix(["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"])


def test_a_port_that_someone_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not network.is_free(port)
    assert network.is_free(port)
