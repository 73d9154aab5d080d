"""Decides which addresses a link may lead to: addresses of the public internet alone."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from bot.core.errors import BadFile, Unavailable

IPAddress: TypeAlias = IPv4Address | IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Resolves a host name and a port to addresses, best first."""

_UNICAST_V6 = ip_network("2000::/3")
# These ranges look public, but may embed a private address, or hold no server. `ipaddress` before Python 3.11.10 lacks
# some of the ranges.
_SPECIAL_NETWORKS = [
    ip_network(network)
    for network in (
        "2002::/16",  # 6to4
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
    )
]
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?$")


def is_public(address: IPAddress) -> bool:
    """Return whether an address is on the public internet. NAT64, 6to4, Teredo and mapped addresses are not."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None or address not in _UNICAST_V6:
            return False
    elif address.is_multicast:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL_NETWORKS)


def is_disguised(host: str) -> bool:
    """Return whether a host is an IPv4 address in a resolver's spelling: decimal, hexadecimal, octal or short."""
    if not _ENDS_IN_NUMBER.search(host):
        return False
    try:
        return str(IPv4Address(host)) != host
    except ValueError:
        return True


async def resolve(host: str, port: int) -> list[str]:
    """Resolve by the system. Raise `BadFile` for an unknown name, `Unavailable` if no name server answers."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Unavailable(f"“{host}” could not be looked up just now. Please try again.") from error
        raise BadFile(f"There is no server called “{host}”.") from error
    except UnicodeError as error:
        raise BadFile(f"There is no server called “{host}”.") from error
    return [str(address[0]) for *_, address in found]


async def resolve_public_addresses(
    host: str, port: int, resolver: Resolver, is_allowed: Callable[[IPAddress], bool]
) -> list[str]:
    """Return the allowed addresses of a host, perhaps none. Literal addresses are not looked up."""
    try:
        literal = ip_address(host)
    except ValueError:
        answers = await resolver(host, port)
    else:
        answers = [str(literal)]
    return [answer for answer in answers if "%" not in answer and is_allowed(ip_address(answer))]
