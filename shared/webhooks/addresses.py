"""Where a webhook may go: to public addresses over https; in local mode to this machine and over http too."""

import ipaddress
from collections.abc import Iterable

from shared.catalog.endpoints import (
    IPAddress,
    checked_parts,
    literal_address,
    refuse_address,
    refuse_host,
)
from shared.errors import InvalidValue

MAX_ADDRESS = 2048
"""Characters of a webhook's address."""

_INSIDE = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_LOOPBACK = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))
_TRANSLATED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.88.99.0/24",  # relays of 6to4
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)
"""IANA's special-purpose registries (RFC 6890): what `ipaddress` knows of them depends on Python's version."""


def check_webhook_url(text: object, local: bool, param: str = "webhook_url") -> str:
    """`text`, if a webhook may be sent there as far as can be told without looking its host up.

    Raises `InvalidValue` for `param`, without repeating the address: its path or query may hold a secret.
    What a host name leads to is judged at the time of the connection, by `refuse_receiver`.
    """
    reason = refuse_url(text, local)
    if reason is not None:
        raise InvalidValue(f"'{param}' {reason}.", param=param)
    assert isinstance(text, str)
    return text


def refuse_url(text: object, local: bool) -> str | None:
    """Why no webhook goes to this address; None if one may. The reason does not repeat the address."""
    if not isinstance(text, str):
        return "must be an address such as https://host/path"
    if len(text) > MAX_ADDRESS:
        return f"must have at most {MAX_ADDRESS} characters"
    try:
        parts = checked_parts(text)
    except ValueError as error:
        return str(error)
    if parts.scheme != "https" and not local:
        return "must begin with https://"
    if "#" in text:
        return "must not have a fragment"
    return _refuse_name((parts.hostname or "").lower().rstrip("."), local)


def refuse_receiver(address: IPAddress | str, local: bool) -> str | None:
    """Why no webhook is sent to `address`, a literal or a resolved one; None if one may.

    In local mode loopback addresses pass, in their own spelling alone.
    """
    reason = refuse_address(address)
    if reason is not None:
        return reason
    found = ipaddress.ip_address(address.partition("%")[0]) if isinstance(address, str) else address
    if _within(found, _LOOPBACK):
        return None if local else "must not lead to this machine"
    if _within(found, _TRANSLATED):
        return "must not be an address that is translated into another"
    if isinstance(found, ipaddress.IPv6Address) and found not in _GLOBAL_UNICAST:
        return "must be a public address"
    if _within(found, _SPECIAL) or not found.is_global or found.is_reserved:
        return "must be a public address"
    return None


def _refuse_name(host: str, local: bool) -> str | None:
    address = literal_address(host)
    if address is not None:
        return refuse_receiver(address, local)
    reason = refuse_host(host)
    if reason is None and not local and ("." not in host or host.endswith(_INSIDE)):
        return "must name a host that is known outside"
    return reason


def _within(address: IPAddress, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in network for network in networks)
