"""Where a model's endpoint may lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.documents import parse_document
from shared.catalog.endpoints import checked_endpoint, endpoint_allowed, refuse_address, takes_identity
from shared.catalog.invalid import InvalidDocument
from tests.unit.catalog.worlds import AZURE, changed


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("https://api.example.com:8443", "https://api.example.com:8443"),
        ("https://10.1.2.3/v1", "https://10.1.2.3/v1"),
        ("https://[2001:db8::1]:8443/v1", "https://[2001:db8::1]:8443/v1"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://192.168.1.20:11434/v1", "http://192.168.1.20:11434/v1"),
        ("http://vllm:8000", "http://vllm:8000"),
        ("http://vllm.models.svc.cluster.local", "http://vllm.models.svc.cluster.local"),
    ],
)
def test_public_https_and_private_http_addresses_pass(written: str, kept: str) -> None:
    assert checked_endpoint(written) == kept


METADATA = [
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "metadata.google.internal",
    "Metadata.Google.Internal.",
    "metadata",
    "2852039166",
    "0xA9FEA9FE",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "169.254.169.254.",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[::a9fe:a9fe]",
    "0.0.0.0",
    "[::]",
    "0",
    "224.0.0.1",
    "255.255.255.255",
    "1.2.3.4.5",
    "999.1.1.1",
]


@pytest.mark.parametrize("host", METADATA)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_a_link_local_or_metadata_address_passes(scheme: str, host: str) -> None:
    with pytest.raises(ValueError, match=r"must|address"):
        checked_endpoint(f"{scheme}://{host}/latest")
    with pytest.raises(ValueError, match=r"must|address"):
        checked_endpoint(f"{scheme}://{host}:80/latest")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "http://api.example.com/v1",
        "https://user@api.example.com",
        "https://user:password@api.example.com",
        "https://api.example.com@169.254.169.254/",
        "https://api.example.com\\@evil.example",
        "https://api.example.com/?key=1",
        "https://api.example.com/v1?",
        "https://api.example.com/#x",
        "https://api.exa mple.com",
        "https://api.example.com/\nv1",
        "https://api.example.com:99999",
        "https://api.example.com:0",
        "https://api.example.com:x",
        "https://ex%61mple.com",
        "https://ｅxample.com",
        "https://169。254。169。254",
        "https://[fe80::1%25eth0]",
        "https://[::1",
        "https://-",
    ],
)
def test_other_addresses_are_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the reasons are many
        checked_endpoint(address)
    assert "password" not in str(caught.value).replace("user name or password", "")


@given(st.integers(min_value=0, max_value=0xFFFF))
def test_every_link_local_address_is_refused_in_its_decimal_form(low: int) -> None:
    with pytest.raises(ValueError, match=r"link-local|metadata"):
        checked_endpoint(f"https://{0xA9FE0000 + low}/")


@given(st.text(max_size=40))
def test_an_address_is_kept_or_refused(text: str) -> None:
    for address in (text, f"https://{text}", f"http://{text}/v1"):
        try:
            kept = checked_endpoint(address)
        except ValueError:
            continue
        assert kept.isascii()
        assert "@" not in kept.split("/")[2]


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("169.254.10.1", True),
        ("168.63.129.16", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("not an address", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.4", False),
        ("20.50.2.3", False),
        ("2a00:1450:4001::1", False),
    ],
)
def test_resolved_addresses_are_judged_too(address: str, refused: bool) -> None:
    assert (refuse_address(address) is not None) is refused


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("api.example.com", True),
        ("API.example.com.", True),
        ("a.models.example.org", True),
        ("a.b.models.example.org", True),
        ("models.example.org", False),
        ("evilmodels.example.org", False),
        ("example.com", False),
        ("api.example.com.evil.example", False),
    ],
)
def test_a_setting_restricts_endpoints_to_a_list_of_hosts(host: str, allowed: bool) -> None:
    hosts = ("api.example.com", "*.models.example.org")
    assert endpoint_allowed(host, hosts) is allowed
    assert endpoint_allowed(host, ())
    body = changed(AZURE, {"parameters.endpoint": f"https://{host}/v1"})
    if allowed:
        parse_document(body, strict=True, endpoint_hosts=hosts)
    else:
        with pytest.raises(InvalidDocument, match="LLMPROXY_ENDPOINT_HOSTS"):
            parse_document(body, strict=True, endpoint_hosts=hosts)


def test_a_listed_host_may_speak_plain_http_and_a_listed_metadata_address_stays_refused() -> None:
    assert checked_endpoint("http://models.example.org", ("models.example.org",))
    with pytest.raises(ValueError, match="metadata"):
        checked_endpoint("http://169.254.169.254", ("169.254.169.254",))


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("https://unit.openai.azure.com", True),
        ("https://UNIT.OpenAI.Azure.com:443/openai", True),
        ("https://unit.cognitiveservices.azure.com", True),
        ("https://unit.services.ai.azure.com/models", True),
        ("https://unit.openai.azure.us", True),
        ("https://unit.openai.azure.cn", True),
        ("http://unit.openai.azure.com", False),
        ("https://openai.azure.com", False),
        ("https://unit.openai.azure.com.evil.example", False),
        ("https://evilopenai.azure.com", False),
        ("https://unit.openai.azure.com@evil.example", False),
        ("https://evil.example/unit.openai.azure.com", False),
        ("https://10.0.0.4", False),
        ("http://localhost", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_the_identity_serves_azure_ai_hosts_only(address: str, taken: bool) -> None:
    assert takes_identity(address) is taken
    body = changed(AZURE, {"parameters.endpoint": address, "parameters.auth": "managed_identity"})
    del body["parameters"]["secret_name"]
    if taken:
        parse_document(body, strict=True)
    else:
        with pytest.raises(InvalidDocument) as caught:
            parse_document(body, strict=True)
        assert caught.value.param == "parameters.endpoint"
