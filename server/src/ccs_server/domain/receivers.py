"""Where webhooks may be sent: the URLs that name receivers, and the addresses that these may have.

A webhook lets a client choose where the service connects to. The service may reach what the client cannot: its own
machine, the network around it, the metadata service of a cloud. So it connects to public addresses only, unless the
operator allows others.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from ccs_server.domain.errors import InvalidInput

MAX_URL_LENGTH = 2048
"""The maximum length of a receiver's URL, in characters."""

Networks = tuple[IPv4Network | IPv6Network, ...]

# `is_global` of Python 3.11 takes some of these for global. Behind 192.88.99.0/24 are relays of 6to4, at
# 168.63.129.16 the platform services of Azure.
_OTHER_IPV4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))

# What is allocated for global unicast. So addresses that contain an IPv4 address are refused: mapped ones
# (::ffff:0:0/96), and those of NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_GLOBAL_IPV6 = IPv6Network("2000::/3")

# Teredo among protocol assignments, documentation, 6to4, and documentation again.
_OTHER_IPV6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))

_DEFAULT_PORTS = {"https": 443, "http": 80}

_is_printable = re.compile(rf"[!-~]{{1,{MAX_URL_LENGTH}}}").fullmatch
_is_host = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}").fullmatch


class Receiver(NamedTuple):
    """Where a webhook is sent, as its URL says.

    Attributes:
        scheme: `https`, or `http`.
        host: a name or an address.
        port: the port.
        target: the path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The host, and the port unless it is the scheme's, as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class RefusedAddress(Exception):
    """An address is not public, and the operator has not allowed it; or `http` leads out of the allowed networks."""


def read_url(url: str) -> Receiver:
    """Parses the URL of a receiver.

    Raises:
        InvalidInput: it is none that a webhook can be sent to.
    """
    refusal = InvalidInput(
        "url must be like https://example.com/path: of at most "
        f"{MAX_URL_LENGTH} printable ASCII characters, without a user and without a fragment.",
        "url",
    )
    if not _is_printable(url) or "#" in url or "\\" in url:
        raise refusal
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refusal from None
    host = parts.hostname
    if (
        parts.scheme not in _DEFAULT_PORTS
        or not host
        or not _is_host(host)
        or "@" in parts.netloc
        or port == 0
    ):
        raise refusal
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], target)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is one of the Internet, and leads nowhere else."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _OTHER_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _OTHER_IPV6)


def check_addresses(scheme: str, addresses: Iterable[str], allowed: Sequence[object]) -> None:
    """Raises RefusedAddress unless a webhook may be sent to each of the addresses.

    Args:
        scheme: that of the URL. `http` leads to allowed networks only.
        addresses: all that the host has.
        allowed: the networks that the operator allows.
    """
    for text in addresses:
        address = ip_address(text)
        is_allowed = any(address in network for network in allowed)  # type: ignore[operator]
        if not is_allowed and (scheme != "https" or not is_public(address)):
            raise RefusedAddress(text)


def read_networks(text: str) -> Networks:
    """Parses networks and addresses that are separated by commas; raises ValueError if one is neither."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
