"""Tests which addresses are public, in every disguise."""

import socket
from ipaddress import ip_address

import pytest

from bot.core.errors import BadFile, Unavailable
from bot.media.fetching import is_disguised, is_public, resolve

PRIVATE = [
    "0.0.0.0",  # noqa: S104 - nothing is bound
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1",
    "192.0.0.8", "192.0.2.1", "192.88.99.1", "203.0.113.5", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1",
    "fe80::1%eth0", "2606:4700::1111%eth0", "ff02::1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_servers_on_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5"]
)
def test_disguised_ipv4_addresses_are_recognised(host: str) -> None:
    assert is_disguised(host)


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "1.1.1.1", "8.dns", "0xabc.org", "a1", "::1"])
def test_names_and_plain_addresses_are_not_disguised(host: str) -> None:
    assert not is_disguised(host)


@pytest.mark.parametrize(
    ("raised", "met", "sentence"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), BadFile, "There is no server called “x.example”."),
        (UnicodeError("label too long"), BadFile, "There is no server called “x.example”."),
        (
            socket.gaierror(socket.EAI_AGAIN, "try again"),
            Unavailable,
            "“x.example” could not be looked up just now. Please try again.",
        ),
    ],
)
async def test_an_unknown_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, met: type[Exception], sentence: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(met) as told:
        await resolve("x.example", 443)

    assert str(told.value) == sentence
