"""Where a model's endpoint may lead: never to link-local or metadata addresses, however they are written."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # Azure, AWS, Google
        "168.63.129.16",  # Azure's wire server
        "100.100.100.200",  # Alibaba
        "fd00:ec2::254",  # AWS over IPv6
        "fd20:ce::254",  # Google over IPv6
    )
)
METADATA_NAMES = frozenset(
    ("metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal")
)
IDENTITY_HOSTS = tuple(
    f".{service}.{cloud}"
    for service in ("openai", "cognitiveservices", "services.ai")
    for cloud in ("azure.com", "azure.us", "azure.cn")
)
"""Ends of the host names that may see a token of the app's own identity."""

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]")
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")


def checked_endpoint(address: str, hosts: Iterable[str] = ()) -> str:
    """`address` without a trailing slash. Raises ValueError with the reason, which does not repeat it.

    `hosts` are the only hosts allowed (`*.` stands for subdomains); empty allows all. Plain http is for
    machines close by: private addresses and names, and hosts that `hosts` lists.
    """
    parts = checked_parts(address)
    if "?" in address or "#" in address:
        raise ValueError("must not have a query or a fragment")
    host = (parts.hostname or "").rstrip(".")
    reason = refuse_host(host)
    if reason is not None:
        raise ValueError(reason)
    hosts = tuple(hosts)
    if not endpoint_allowed(host, hosts):
        raise ValueError("names a host that LLMPROXY_ENDPOINT_HOSTS does not list")
    if parts.scheme == "http" and not hosts and not _is_close_by(host):
        raise ValueError("must begin with https:// (http:// only for private addresses and names)")
    return address.rstrip("/")


def checked_parts(address: str) -> SplitResult:
    """The parts of an http or https address, which every reader takes apart in the same way.

    The host is not judged yet. Raises ValueError with the reason, which does not repeat the address.
    """
    if not address.isascii() or not address.isprintable() or " " in address or "\\" in address:
        raise ValueError("must be an address in printable ASCII, without spaces or backslashes")
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise ValueError("is no address such as https://host/path") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("must begin with https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    written_host = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
    if not _HOST.fullmatch(written_host.removesuffix(":")) or port == 0:
        raise ValueError("must name a host in letters, digits, hyphens and dots")
    return parts


def endpoint_allowed(host: str, hosts: Iterable[str]) -> bool:
    """Whether the setting allows `host`: `hosts` is empty, names it, or holds `*.` and a domain above it."""
    name = host.lower().rstrip(".")
    allowed = tuple(hosts)
    return not allowed or any(
        name.endswith(entry[1:]) if entry.startswith("*.") else name == entry for entry in allowed
    )


def refuse_host(host: str) -> str | None:
    """Why a host name or a literal address may not be an endpoint; None if it may."""
    name = host.lower().rstrip(".")
    if name in METADATA_NAMES:
        return "must not name a metadata service"
    address = literal_address(name)
    if address is not None:
        return refuse_address(address)
    if name.rpartition(".")[2].isdigit():
        # What ends in a number is an address to every resolver, and this one is none we understand.
        return "is no valid address"
    return None


def refuse_address(address: IPAddress | str) -> str | None:
    """Why no connection to `address` may be made; None if it may. For literal and for resolved addresses.

    An IPv4 address inside an IPv6 one (mapped, NAT64, 6to4, Teredo) is judged as what it leads to.
    """
    if isinstance(address, str):
        try:
            address = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return "is no valid address"
    for candidate in (address, *_embedded(address)):
        if candidate in METADATA_ADDRESSES:
            return "must not be a metadata address"
        if candidate.is_link_local:
            return "must not be a link-local address"
        if candidate.is_unspecified or candidate.is_multicast or int(candidate) == 0xFFFFFFFF:
            return "must be the address of one machine"
    return None


def literal_address(host: str) -> IPAddress | None:
    """The address that `host` spells, also in the decimal, octal, hexadecimal and short forms of IPv4."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", host) or not re.match(r"(0x)?[0-9a-f]+$", host.rpartition(".")[2]):
        return None
    try:
        # The C library's own reading, which a resolver would follow.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def takes_identity(address: str) -> bool:
    """Whether a token of the app's own identity may go to `address`: Azure's AI hosts, over https only."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if parts.scheme != "https" or "@" in parts.netloc or not _HOST.fullmatch(host):
        return False
    return host.endswith(IDENTITY_HOSTS) and not host.startswith(".")


def _is_close_by(host: str) -> bool:
    address = literal_address(host.lower())
    if address is not None:
        return address.is_private or address.is_loopback
    return "." not in host or host.lower().endswith(_PRIVATE_SUFFIXES)


def _embedded(address: IPAddress) -> list[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _NAT64) or (address in _IPV4_COMPATIBLE and int(address) > 1):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in found if inner is not None]
