"""Settings: read once, checked, and refused with one line that names the setting."""

from dataclasses import fields
from pathlib import Path

import pytest

from shared.errors import SettingError
from shared.settings import Settings, is_loopback, setting_name, settings_table

AZURE = {
    "LLMPROXY_COSMOS_ENDPOINT": "https://account.documents.azure.com:443/",
    "LLMPROXY_KEY_VAULT_URL": "https://vault.vault.azure.net/",
    "EventHubs__fullyQualifiedNamespace": "jobs.servicebus.windows.net",
}
LOCAL = {"LLMPROXY_MODE": "local"}

WRONG = {
    "LLMPROXY_MODE": ["cloud", "az ure"],
    "LLMPROXY_COSMOS_ENDPOINT": [
        "account",
        "http://account.documents.azure.com",
        "https://",
        "https://u:p@host/",
    ],
    "LLMPROXY_KEY_VAULT_URL": ["vault.azure.net", "ftp://vault", "http://10.0.0.1/", "https://u@vault/"],
    "EventHubs__fullyQualifiedNamespace": ["jobs", "sb://jobs.servicebus.windows.net/", "a b.c", "-.net"],
    "EventHubs": [
        "Endpoint=sb://jobs.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=v",
        "Endpoint=sb://jobs.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true",
        "Endpoint=sb://[::1;UseDevelopmentEmulator=true",
        "localhost",
    ],
    "LLMPROXY_JOBS_HUB": ["a hub", "-jobs", "hub/jobs", "x" * 257],
    "LLMPROXY_PRIORITY_JOBS_HUB": ["a hub", "jobs.", "%hub%"],
    "LLMPROXY_JOB_CONCURRENCY": ["0", "1001", "many"],
    "LLMPROXY_JOBS_ON_TIMER": ["maybe"],
    "LLMPROXY_PUBLIC_URL": ["proxy.example.com", "http://proxy.example.com", "https://u:p@host/"],
    "LLMPROXY_REQUIRE_KEYS": ["maybe", "2"],
    "LLMPROXY_CORS_ORIGINS": [
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com:443",
        "http://app.example.com:80",
        "https://app.example.com:65536",
        "https://app.example.com:0",
        "https://user@app.example.com",
        "https://*.example.com",
        "https://",
        "https://[::1",
        "https://exämple.com",
        "https://one.example.com https://two.example.com",
        "*, https://app.example.com",
        "null",
    ],
    "LLMPROXY_MAX_JSON_BYTES": ["many", "0", "-5", "1e6", "5 MB", "104857601", ""],
    "LLMPROXY_MAX_UPLOAD_BYTES": ["many", "0", "-5", "1e6", "5 MB", "104857601", ""],
    "LLMPROXY_CONNECT_TIMEOUT": ["soon", "0", "-1", "61", "nan", "inf"],
    "LLMPROXY_FIRST_TOKEN_TIMEOUT": ["0", "1501"],
    "LLMPROXY_IDLE_TIMEOUT": ["0", "1501"],
    "LLMPROXY_CALL_TIMEOUT": ["0", "221"],
    "LLMPROXY_STREAM_TIMEOUT": ["0", "1501"],
    "LLMPROXY_HEARTBEAT_INTERVAL": ["0", "61"],
    "LLMPROXY_COMMIT_AFTER": ["0", "201"],
    "LLMPROXY_MAX_RETRIES": ["-1", "11", "2.5", "two", "²", "--5"],
    "LLMPROXY_CATALOG_MAX_AGE": ["0", "31"],
    "LLMPROXY_SECRET_MAX_AGE": ["0", "3601", "five"],
    "LLMPROXY_MAX_CONNECTIONS": ["0", "10001"],
    "LLMPROXY_USAGE_DAYS": ["0", "3651"],
    "LLMPROXY_AUDIT_DAYS": ["0", "3651"],
    "LLMPROXY_LOG_LEVEL": ["verbose", "trace"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts if text.strip()]
)
def test_a_wrong_value_is_refused_with_one_line_that_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_environment({**AZURE, name: text})
    line = str(refused.value)
    assert line.startswith(f"{name} must be")
    assert "\n" not in line


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_environment({**AZURE, "LLMPROXY_KEY_VAULT_URL": "https://user:hidden-text@vault/"})
    assert "hidden-text" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_every_setting_that_can_be_wrong_is_tried_here() -> None:
    free_text = {
        "LLMPROXY_ENVIRONMENT",
        "LLMPROXY_LOCAL_DIR",
        "LLMPROXY_COSMOS_DATABASE",
        "LLMPROXY_COSMOS_EMULATOR_KEY",
        "LLMPROXY_ENDPOINT_HOSTS",
        "AZURE_CLIENT_ID",
    }
    assert {name for name, _, _ in settings_table()} == set(WRONG) | free_text


@pytest.mark.parametrize("name", ["LLMPROXY_LOGLEVEL", "LLMPROXY_", "LLMPROXY_ADMIN_KEY"])
def test_a_name_of_ours_that_is_no_setting_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is not a setting of this app$"):
        Settings.from_environment({**AZURE, name: "x"})


def test_names_of_others_are_none_of_our_business() -> None:
    Settings.from_environment(
        {**AZURE, "FUNCTIONS_WORKER_RUNTIME": "python", "LLM_PROXY": "x", "PATH": "/bin"}
    )


def test_local_mode_is_refused_on_azure() -> None:
    with pytest.raises(SettingError, match=r"^LLMPROXY_MODE must not be local on Azure$"):
        Settings.from_environment({**LOCAL, "WEBSITE_INSTANCE_ID": "abc"})


def test_local_mode_needs_nothing_else() -> None:
    settings = Settings.from_environment(LOCAL)
    assert settings.local
    assert settings.require_keys
    assert settings.local_dir == Path(".local")


def test_azure_is_the_mode_unless_told_otherwise() -> None:
    settings = Settings.from_environment(AZURE)
    assert settings.mode == "azure"
    assert not settings.local


@pytest.mark.parametrize("name", AZURE)
@pytest.mark.parametrize("text", [None, "", "  "])
def test_azure_needs_its_addresses(name: str, text: str | None) -> None:
    environment = {key: value for key, value in {**AZURE, name: text}.items() if value is not None}
    with pytest.raises(SettingError, match=f"^{name} is required"):
        Settings.from_environment(environment)


def test_keys_can_be_switched_off_in_local_mode_only() -> None:
    assert not Settings.from_environment({**LOCAL, "LLMPROXY_REQUIRE_KEYS": "false"}).require_keys
    with pytest.raises(SettingError, match=r"^LLMPROXY_REQUIRE_KEYS can be false in local mode only$"):
        Settings.from_environment({**AZURE, "LLMPROXY_REQUIRE_KEYS": "false"})


@pytest.mark.parametrize(
    "endpoint",
    ["http://localhost:8081", "http://127.0.0.1:8081/", "https://localhost:8081", "http://[::1]:8081"],
)
def test_the_key_of_an_emulator_is_taken_for_this_machine(endpoint: str) -> None:
    settings = Settings.from_environment(
        {**AZURE, "LLMPROXY_COSMOS_ENDPOINT": endpoint, "LLMPROXY_COSMOS_EMULATOR_KEY": "key"}
    )
    assert settings.cosmos_emulator_key == "key"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://account.documents.azure.com",
        "https://localhost.example.com",
        "https://10.0.0.1",
        "https://127.0.0.1.nip.io",
    ],
)
def test_the_key_of_an_emulator_is_refused_for_any_other_address(endpoint: str) -> None:
    with pytest.raises(
        SettingError, match=r"^LLMPROXY_COSMOS_EMULATOR_KEY is for an emulator on this machine only$"
    ):
        Settings.from_environment(
            {**AZURE, "LLMPROXY_COSMOS_ENDPOINT": endpoint, "LLMPROXY_COSMOS_EMULATOR_KEY": "key"}
        )


def test_an_empty_value_is_the_default() -> None:
    settings = Settings.from_environment({**LOCAL, "LLMPROXY_MAX_RETRIES": " ", "LLMPROXY_LOG_LEVEL": ""})
    assert settings == Settings.from_environment(LOCAL)


def test_values_are_read_as_they_are_meant() -> None:
    settings = Settings.from_environment(
        {
            "LLMPROXY_MODE": " Local ",
            "LLMPROXY_ENVIRONMENT": " test ",
            "LLMPROXY_LOCAL_DIR": "~/proxy",
            "LLMPROXY_REQUIRE_KEYS": "NO",
            "LLMPROXY_ENDPOINT_HOSTS": " Api.Example.com. ,*.openai.azure.com,, ",
            "LLMPROXY_CORS_ORIGINS": " https://App.example.com, http://localhost:3000,,https://app.example.com ",
            "LLMPROXY_MAX_JSON_BYTES": "2048",
            "LLMPROXY_CALL_TIMEOUT": "12.5",
            "LLMPROXY_KEY_VAULT_URL": "https://vault.vault.azure.net/",
            "LLMPROXY_LOG_LEVEL": "DEBUG",
            "AZURE_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
        }
    )
    assert settings.local
    assert settings.environment == "test"
    assert settings.local_dir == Path.home() / "proxy"
    assert not settings.require_keys
    assert settings.endpoint_hosts == ("api.example.com", "*.openai.azure.com")
    assert settings.cors_origins == ("https://app.example.com", "http://localhost:3000")
    assert settings.max_json_bytes == 2048
    assert settings.call_timeout == 12.5
    assert settings.key_vault_url == "https://vault.vault.azure.net"
    assert settings.log_level == "debug"
    assert settings.identity_client_id == "11111111-2222-3333-4444-555555555555"


def test_without_an_argument_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {**LOCAL, "LLMPROXY_ENVIRONMENT": "laptop"}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("WEBSITE_INSTANCE_ID", raising=False)
    assert Settings.from_environment().environment == "laptop"


def test_an_emulator_stands_in_for_the_namespace() -> None:
    string = (
        "Endpoint=sb://localhost:5672;SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true"
    )
    environment = {**AZURE, "EventHubs__fullyQualifiedNamespace": "", "EventHubs": string}
    assert Settings.from_environment(environment).event_hubs_emulator == string


def test_the_two_hubs_must_differ() -> None:
    with pytest.raises(SettingError, match=r"^LLMPROXY_PRIORITY_JOBS_HUB must differ"):
        Settings.from_environment({**AZURE, "LLMPROXY_PRIORITY_JOBS_HUB": "chat-jobs"})


def test_the_public_address_is_the_apps_own_host_name_unless_it_is_set() -> None:
    own = {**AZURE, "WEBSITE_HOSTNAME": "app.azurewebsites.net"}
    assert Settings.from_environment(own).public_url == "https://app.azurewebsites.net"
    chosen = Settings.from_environment({**own, "LLMPROXY_PUBLIC_URL": "https://llm.example.com/"})
    assert chosen.public_url == "https://llm.example.com"


def test_settings_do_not_change_after_the_start() -> None:
    settings = Settings.from_environment(LOCAL)
    with pytest.raises(AttributeError):
        settings.mode = "azure"  # type: ignore[misc]


def test_the_table_lists_every_setting_with_default_and_meaning() -> None:
    table = settings_table()
    assert len(table) == len(fields(Settings)) == len({name for name, _, _ in table})
    assert all(meaning for _, _, meaning in table)
    rows = {name: default for name, default, _ in table}
    assert rows["LLMPROXY_REQUIRE_KEYS"] == "true"
    assert rows["LLMPROXY_CALL_TIMEOUT"] == "220"
    assert rows["LLMPROXY_ENDPOINT_HOSTS"] == ""
    assert rows["LLMPROXY_LOCAL_DIR"] == ".local"


def test_every_default_in_the_table_is_one_that_is_accepted() -> None:
    defaults = {name: default for name, default, _ in settings_table()}
    assert Settings.from_environment({**defaults, **AZURE}) == Settings.from_environment(AZURE)


def test_no_setting_holds_a_secret() -> None:
    names = [setting_name(item.name, item.metadata["name"]) for item in fields(Settings)]
    secret_words = ("SECRET", "PASSWORD", "TOKEN", "API_KEY")
    suspicious = [name for name in names if any(word in name for word in secret_words)]
    assert suspicious == ["LLMPROXY_FIRST_TOKEN_TIMEOUT", "LLMPROXY_SECRET_MAX_AGE"]


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("localhost.example.com", False),
        ("mylocalhost", False),
        ("", False),
    ],
)
def test_only_this_machine_is_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here
