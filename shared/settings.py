"""Settings of the app: addresses and numbers, never secrets. The only reader of the environment."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from shared.errors import SettingError

PREFIX = "LLMPROXY_"
_LOCAL_DIR = Path(".local")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_HUB = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,254}[A-Za-z0-9])?")
_OWN_PORTS = {"https": 443, "http": 80}


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return number

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        lowered = text.strip().lower()
        if lowered not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return lowered

    return parse


def _address(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        parts.port  # noqa: B018 (reading it checks it)
    except ValueError:
        raise ValueError("must be an address such as https://host/") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise ValueError("must be an address such as https://host/")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (http:// only for this machine)")
    return text.strip().rstrip("/")


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower().rstrip(".") for part in text.split(",") if part.strip())


def _origins(text: str) -> tuple[str, ...]:
    """Origins as browsers write them: in lower case, without a path, without the scheme's own port."""
    found = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    if found == ("*",):
        return found
    for origin in found:
        if not _is_origin(origin):
            raise ValueError("must be * or origins such as https://app.example.com, separated by commas")
    return found


def _is_origin(text: str) -> bool:
    if _ORIGIN.fullmatch(text) is None:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and port != 0 and port != _OWN_PORTS.get(parts.scheme)


def _namespace(text: str) -> str:
    name = text.strip().lower().rstrip(".")
    if _NAMESPACE.fullmatch(name) is None:
        raise ValueError("must be a host name such as name.servicebus.windows.net")
    return name


def _hub(text: str) -> str:
    name = text.strip()
    if _HUB.fullmatch(name) is None:
        raise ValueError("must be the name of a hub: 1 to 256 letters, digits, '.', '-' and '_'")
    return name


def _emulator(text: str) -> str:
    pairs = (part.split("=", 1) for part in text.split(";") if "=" in part)
    parts = {name.strip().lower(): value.strip() for name, value in pairs}
    try:
        host = urlsplit(parts.get("endpoint", "")).hostname or ""
    except ValueError:
        host = ""
    if parts.get("usedevelopmentemulator") != "true" or not is_loopback(host):
        raise ValueError("must be the connection string of an emulator on this machine")
    return text.strip()


def _text(text: str) -> str:
    return text.strip()


def _path(text: str) -> Path:
    return Path(text).expanduser()


def is_loopback(host: str) -> bool:
    """Whether a host name or literal address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _setting(default: Any, parse: Callable[[str], Any], meaning: str, *, name: str | None = None) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning, "name": name})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, checked. Field `x` is read from `LLMPROXY_X` unless it says otherwise."""

    mode: Literal["azure", "local"] = _setting(
        "azure", _choice("azure", "local"), "`azure`, or `local` for a laptop"
    )
    environment: str = _setting("production", _text, "name of the environment, shown in `/health`")
    local_dir: Path = _setting(_LOCAL_DIR, _path, "where local mode keeps its data and secrets")
    cosmos_endpoint: str = _setting("", _address, "address of the Cosmos DB account (required in Azure)")
    cosmos_database: str = _setting("llmproxy", _text, "name of the Cosmos DB database")
    cosmos_emulator_key: str = _setting(
        "", _text, "the published key of a Cosmos DB emulator on this machine; refused for any other address"
    )
    key_vault_url: str = _setting("", _address, "address of the Key Vault (required in Azure)")
    identity_client_id: str = _setting(
        "", _text, "client id of the user-assigned identity; empty for the system's", name="AZURE_CLIENT_ID"
    )
    event_hubs_namespace: str = _setting(
        "",
        _namespace,
        "host name of the Event Hubs namespace (required in Azure)",
        name="EventHubs__fullyQualifiedNamespace",
    )
    event_hubs_emulator: str = _setting(
        "", _emulator, "connection string of an Event Hubs emulator on this machine", name="EventHubs"
    )
    jobs_hub: str = _setting("chat-jobs", _hub, "hub of jobs with priority 4 to 10")
    priority_jobs_hub: str = _setting("chat-jobs-priority", _hub, "hub of jobs with priority 1 to 3")
    job_concurrency: int = _setting(16, _whole(1, 1000), "jobs that one instance runs at once")
    jobs_on_timer: bool = _setting(
        False, _flag, "`true`: the timer runs queued jobs, where no Event Hub trigger does"
    )
    public_url: str = _setting(
        "", _address, "the app's address as webhooks name it; empty: its own host name on Azure"
    )
    require_keys: bool = _setting(True, _flag, "`false` opens the inference routes, in local mode only")
    endpoint_hosts: tuple[str, ...] = _setting(
        (), _hosts, "hosts that a model's `endpoint` may name, with `*.` for subdomains; empty allows all"
    )
    cors_origins: tuple[str, ...] = _setting(
        (), _origins, "origins whose pages may call from a browser, with commas between, or `*`; empty: none"
    )
    max_json_bytes: int = _setting(50 * 1024 * 1024, _whole(1024, 104_857_600), "largest JSON body, in bytes")
    max_upload_bytes: int = _setting(
        95 * 1024 * 1024, _whole(1024, 104_857_600), "largest multipart body, in bytes"
    )
    connect_timeout: float = _setting(10.0, _seconds(0.1, 60), "seconds to connect to a provider")
    first_token_timeout: float = _setting(60.0, _seconds(0.1, 1500), "seconds to a stream's first event")
    idle_timeout: float = _setting(60.0, _seconds(0.1, 1500), "seconds between a stream's events")
    call_timeout: float = _setting(220.0, _seconds(0.1, 220), "seconds for a plain call, all tries together")
    stream_timeout: float = _setting(1500.0, _seconds(0.1, 1500), "seconds for a whole stream")
    heartbeat_interval: float = _setting(
        15.0, _seconds(0.05, 60), "seconds of silence before a comment line in a stream"
    )
    commit_after: float = _setting(
        100.0, _seconds(0.05, 200), "seconds after which a silent stream's 200 is sent"
    )
    max_retries: int = _setting(2, _whole(0, 10), "tries after the first on one deployment")
    catalog_max_age: float = _setting(
        30.0, _seconds(0.05, 30), "seconds that a cached catalog or key may be old"
    )
    secret_max_age: float = _setting(300.0, _seconds(0.05, 3600), "seconds that a secret is cached")
    max_connections: int = _setting(1000, _whole(1, 10_000), "connections to providers at once, per instance")
    usage_days: int = _setting(90, _whole(1, 3650), "days that usage records and sums are kept")
    audit_days: int = _setting(365, _whole(1, 3650), "days that audit entries are kept")
    log_level: str = _setting(
        "info", _choice("debug", "info", "warning", "error"), "`debug`, `info`, `warning` or `error`"
    )

    @property
    def local(self) -> bool:
        return self.mode == "local"

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> "Settings":
        """Reads and checks all settings. Raises `SettingError`, which names the first wrong one."""
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for item in fields(Settings):
            name = setting_name(item.name, item.metadata["name"])
            text = source.get(name, "")
            if text.strip():
                try:
                    values[item.name] = item.metadata["parse"](text)
                except ValueError as error:
                    raise SettingError(f"{name} {error}") from None
        if not values.get("public_url") and source.get("WEBSITE_HOSTNAME"):
            values["public_url"] = f"https://{source['WEBSITE_HOSTNAME']}"
        known = {setting_name(item.name, item.metadata["name"]) for item in fields(Settings)}
        for name in source:
            if name.startswith(PREFIX) and name not in known:
                raise SettingError(f"{name} is not a setting of this app")
        settings = Settings(**values)
        _check_together(settings, source)
        return settings


def setting_name(attribute: str, override: str | None) -> str:
    return override or PREFIX + attribute.upper()


def _check_together(settings: Settings, source: Mapping[str, str]) -> None:
    if settings.local:
        if source.get("WEBSITE_INSTANCE_ID"):
            raise SettingError("LLMPROXY_MODE must not be local on Azure")
        return
    if not settings.require_keys:
        raise SettingError("LLMPROXY_REQUIRE_KEYS can be false in local mode only")
    for name, value in (
        ("LLMPROXY_COSMOS_ENDPOINT", settings.cosmos_endpoint),
        ("LLMPROXY_KEY_VAULT_URL", settings.key_vault_url),
    ):
        if not value:
            raise SettingError(f"{name} is required unless LLMPROXY_MODE is local")
    if not settings.event_hubs_namespace and not settings.event_hubs_emulator:
        raise SettingError("EventHubs__fullyQualifiedNamespace is required unless LLMPROXY_MODE is local")
    if settings.jobs_hub == settings.priority_jobs_hub:
        raise SettingError("LLMPROXY_PRIORITY_JOBS_HUB must differ from LLMPROXY_JOBS_HUB")
    if settings.cosmos_emulator_key and not is_loopback(urlsplit(settings.cosmos_endpoint).hostname or ""):
        raise SettingError("LLMPROXY_COSMOS_EMULATOR_KEY is for an emulator on this machine only")


def settings_table() -> list[tuple[str, str, str]]:
    """(name, default, meaning) of every setting, as the README lists them."""
    rows = []
    for item in fields(Settings):
        default = item.default
        if isinstance(default, bool):
            shown = str(default).lower()
        elif isinstance(default, tuple):
            shown = ",".join(default)
        elif isinstance(default, float):
            shown = f"{default:g}"
        else:
            shown = str(default)
        rows.append((setting_name(item.name, item.metadata["name"]), shown, item.metadata["meaning"]))
    return rows
