"""Where a webhook may go, however the address is spelled."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from shared.errors import InvalidValue
from shared.webhooks.addresses import MAX_ADDRESS, check_webhook_url, refuse_receiver, refuse_url

REFUSED_IPV4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "169.254.169.254/32",
    "168.63.129.16/32",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
]
REFUSED_IPV6 = [
    "::/96",
    "::1/128",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fd00:ec2::254/128",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
inner_ipv4 = st.sampled_from(REFUSED_IPV4).flatmap(lambda network: st.ip_addresses(network=network))
inner_ipv6 = st.sampled_from(REFUSED_IPV6).flatmap(lambda network: st.ip_addresses(network=network))


def spellings(address: ipaddress.IPv4Address) -> list[str]:
    """All that the C library, and with it a resolver, reads as this address."""
    number = int(address)
    a, b, c, d = address.packed
    return [
        str(address),
        f"{address}.",
        str(number),
        hex(number),
        hex(number).upper().replace("X", "x"),
        f"0{number:o}",
        ".".join(hex(part) for part in (a, b, c, d)),
        ".".join(f"0{part:o}" for part in (a, b, c, d)),
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}",
        f"0x{a:x}.{b}.0{c:o}.{d}",
        f"0x{a:08x}.{b}.{c}.{d}",
    ]


def translations(address: ipaddress.IPv4Address) -> list[ipaddress.IPv6Address]:
    """IPv6 addresses from behind which someone may lead to this one."""
    number = int(address)
    return [
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0xFFFF << 48) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x64FF9B0001 << 80) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
        ipaddress.IPv6Address((0x20010000 << 96) | (0xFFFFFFFF ^ number)),
        ipaddress.IPv6Address((0x20010000 << 96) | (number << 64)),
    ]


@given(address=inner_ipv4)
def test_no_spelling_of_an_inner_address_passes(address: ipaddress.IPv4Address) -> None:
    assert refuse_receiver(address, local=False)
    for host in spellings(address):
        assert refuse_url(f"https://{host}/hooks", local=False), host
        assert refuse_url(f"https://{host}:8443", local=False), host


@given(address=st.ip_addresses(v=4))
def test_no_translated_address_passes_whatever_it_leads_to(address: ipaddress.IPv4Address) -> None:
    for outer in translations(address):
        assert refuse_receiver(outer, local=False), outer
        for host in (f"[{outer}]", f"[{outer.exploded}]", f"[{outer.exploded.upper()}]"):
            assert refuse_url(f"https://{host}/", local=False), host
    for host in (f"[::ffff:{address}]", f"[64:ff9b::{address}]", f"[::{address}]"):
        assert refuse_url(f"https://{host}/", local=False), host


@given(address=inner_ipv6)
def test_no_inner_ipv6_address_passes(address: ipaddress.IPv6Address) -> None:
    assert refuse_receiver(address, local=False)
    assert refuse_receiver(f"{address}%eth0", local=False)
    assert refuse_url(f"https://[{address}]/", local=False)


@given(address=st.ip_addresses())
def test_what_python_knows_to_be_inner_is_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    inner = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    if inner or not address.is_global:
        assert refuse_receiver(address, local=False)


@given(address=st.one_of(inner_ipv4, inner_ipv6))
def test_local_mode_opens_loopback_addresses_and_no_other(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    # Python 3.13 calls ::ffff:127.0.0.1 loopback too.
    loopback = address.is_loopback and (address.version == 4 or int(address) == 1)
    assert (refuse_receiver(address, local=True) is None) is loopback
    written = f"[{address}]" if address.version == 6 else str(address)
    assert (refuse_url(f"http://{written}/", local=True) is None) is loopback


@pytest.mark.parametrize(
    "host", ["[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[::127.0.0.1]", "[2002:7f00:1::]", "0.0.0.0", "0"]
)
def test_local_mode_opens_loopback_in_its_own_spelling(host: str) -> None:
    assert refuse_url(f"http://{host}:8000/", local=True)


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.com",
        "https://hooks.example.com/path/with%20more?token=abc&x=1",
        "https://HOOKS.example.com.:8443/",
        "https://xn--bcher-kva.example/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://100.63.255.255/",
        "https://100.128.0.0/",
        "https://172.32.0.1/",
        "https://223.255.255.255/",
    ],
)
@pytest.mark.parametrize("local", [False, True])
def test_public_addresses_pass_and_stay_as_they_are(address: str, local: bool) -> None:
    assert check_webhook_url(address, local) == address


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example.com/",
        "http://localhost:8000/",
        "https://localhost:8000/hooks",
        "https://app.localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://intranet/",
        "https://hooks.internal/",
        "https://printer.local/",
    ],
)
def test_what_is_for_local_mode_or_for_no_one_is_refused_on_azure(address: str) -> None:
    with pytest.raises(InvalidValue):
        check_webhook_url(address, local=False)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8000/hooks",
        "http://LOCALHOST./",
        "https://app.localhost/",
        "http://127.0.0.1:1/",
        "http://127.1/",
        "http://[::1]:8000/",
        "http://hooks.example.com/",
    ],
)
def test_local_mode_takes_http_and_this_machine(address: str) -> None:
    assert check_webhook_url(address, local=True) == address


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        ["https://hooks.example.com"],
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///hooks",
        "https://user@hooks.example.com/",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com@10.0.0.1/",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nx-injected: 1",
        "https://hooks.example.com/\u00e9",
        "https://\uff11\uff10.0.0.1/",
        "https://ex%61mple.com/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:x/",
        "https://metadata.google.internal/",
        "https://metadata/",
        "https://1.2.3.4.5/",
        "https://999.1.1.1/",
        "https://hooks.example.com/" + "a" * MAX_ADDRESS,
    ],
)
def test_other_addresses_are_refused_in_every_mode(address: object, local: bool) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_webhook_url(address, local)
    assert caught.value.param == "webhook_url"
    assert caught.value.message.startswith("'webhook_url' ")


def test_the_refusal_names_the_field_and_does_not_repeat_the_address() -> None:
    with pytest.raises(InvalidValue) as caught:
        check_webhook_url("https://10.0.0.1/a-secret-path?token=hidden", False, "callback_url")
    assert caught.value.param == "callback_url"
    assert caught.value.status == 400
    assert caught.value.message == "'callback_url' must be a public address."


@given(text=st.text(max_size=60))
def test_any_text_is_kept_or_refused(text: str) -> None:
    for address in (text, f"https://{text}", f"https://hooks.example.com/{text}"):
        for local in (False, True):
            try:
                assert check_webhook_url(address, local) == address
            except InvalidValue:
                continue
            assert address.isascii()
            assert address.isprintable()
            # The one who connects reads the same host out of it as the one who checked.
            assert (URL(address, encoded=True).host or "").lower() == urlsplit(address).hostname
