"""No key anywhere: none is read, none is handed on, and none would be taken."""

import re

import pytest

from tests.unit.infra.templates import bicep_files, module, templates
from tools.bicep import Expression

FILES = sorted(templates())
KEY_FUNCTIONS = re.compile(r"\blist[A-Z]\w*\s*\(|\.list[A-Z]\w*\s*\(|\bgetSecret\s*\(")
CONNECTION_WITH_KEY = re.compile(
    r"(?i)AccountKey=|SharedAccessKey|SharedAccessSignature|AccountEndpoint=|sig=|pwd=|password="
)
SECRET_WORDS = re.compile(r"(?i)(password|secret|token|accountkey|apikey|accesskey|sastoken|credential)s?$")


@pytest.mark.parametrize("path", FILES)
def test_no_template_reads_a_key_or_writes_one_down(path: str) -> None:
    text = templates()[path].path.read_text(encoding="utf-8")
    assert KEY_FUNCTIONS.findall(text) == []
    assert CONNECTION_WITH_KEY.findall(text) == []
    assert re.findall(r"instrumentationKey|primaryKey|secondaryKey|defaultAdminPassword", text) == []


def test_what_reads_a_key_would_be_noticed() -> None:
    for text in ("storage.listKeys().keys[0].value", "listKeys(id, '2024-01-01')", "vault.getSecret('x')"):
        assert KEY_FUNCTIONS.search(text)
    assert CONNECTION_WITH_KEY.search("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=${key}")


@pytest.mark.parametrize("path", sorted(bicep_files()))
def test_no_parameter_and_no_output_is_a_secret(path: str) -> None:
    template = bicep_files()[path]
    for one in (*template.of("param").values(), *template.of("output").values()):
        assert "secure" not in one.decorators, one.name
        assert not SECRET_WORDS.search(one.name), one.name


def test_no_secret_is_made_by_a_template() -> None:
    types = {
        one.target.split("@")[0]
        for template in bicep_files().values()
        for one in template.of("resource").values()
    }
    assert "Microsoft.KeyVault/vaults/secrets" not in types
    assert not [
        kind for kind in types if re.search(r"(?i)authorizationRules|/keys$|/secrets$|hostKeys", kind)
    ]


LOCAL_AUTHENTICATION = [
    ("storage", "account", "allowSharedKeyAccess", False),
    ("storage", "account", "allowBlobPublicAccess", False),
    ("storage", "account", "defaultToOAuthAuthentication", True),
    ("cosmos", "account", "disableLocalAuth", True),
    ("cosmos", "account", "disableKeyBasedMetadataWriteAccess", True),
    ("event-hubs", "namespace", "disableLocalAuth", True),
    ("monitoring", "applicationInsights", "DisableLocalAuth", True),
    ("key-vault", "vault", "enableRbacAuthorization", True),
    ("key-vault", "vault", "enablePurgeProtection", True),
    ("key-vault", "vault", "enableSoftDelete", True),
    ("key-vault", "vault", "enabledForTemplateDeployment", False),
]


@pytest.mark.parametrize(("name", "resource", "property", "value"), LOCAL_AUTHENTICATION)
def test_local_authentication_is_off_whatever_the_parameters(
    name: str, resource: str, property: str, value: bool
) -> None:
    declaration = module(name).of("resource")[resource]
    assert declaration.condition == ""
    assert declaration.value["properties"][property] is value


def test_the_workspace_takes_no_key_either() -> None:
    features = module("monitoring").of("resource")["workspace"].value["properties"]["features"]
    assert features["disableLocalAuth"] is True


@pytest.mark.parametrize("resource", ["publishingByFtp", "publishingByPassword"])
def test_the_app_is_not_published_with_a_password(resource: str) -> None:
    assert module("function-app").of("resource")[resource].value["properties"] == {"allow": False}


@pytest.mark.parametrize(
    ("name", "resource", "property", "version"),
    [
        ("storage", "account", "minimumTlsVersion", "TLS1_2"),
        ("cosmos", "account", "minimalTlsVersion", "Tls12"),
        ("event-hubs", "namespace", "minimumTlsVersion", "1.2"),
    ],
)
def test_old_encryption_is_refused(name: str, resource: str, property: str, version: str) -> None:
    assert module(name).of("resource")[resource].value["properties"][property] == version


def test_the_only_connection_string_is_telemetrys_which_opens_nothing() -> None:
    settings = module("function-app").value("settings")
    strings = {name for name in settings if re.search(r"(?i)connection_?string", name)}
    assert strings == {"APPLICATIONINSIGHTS_CONNECTION_STRING"}
    assert settings["APPLICATIONINSIGHTS_CONNECTION_STRING"] == Expression(
        "applicationInsightsConnectionString"
    )
    text = module("monitoring").of("resource")["applicationInsights"].value["properties"]
    assert text["DisableLocalAuth"] is True
