"""A whole `config.yaml` of LiteLLM's proxy as documents of the catalog, and what could not be taken over.

The format is that of https://docs.litellm.ai/docs/proxy/configs. Keys, teams and budgets are in LiteLLM's
database, not in this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from shared import Json
from shared.catalog.capabilities import installed_map
from shared.catalog.names import names_credential
from shared.transfer.litellm_entries import Around, Entry, read_entry
from shared.transfer.litellm_fallbacks import KINDS, add_default, add_fallbacks
from shared.transfer.litellm_file import ConfigFile, Path, read_config
from shared.transfer.litellm_groups import Draft, Named, alias_of, group_strategy, make_group, member_ids
from shared.transfer.litellm_providers import Map
from shared.transfer.litellm_values import REFERENCE, EntryRefused, Remarks
from shared.transfer.records import Record, Refused, read_record

_SETTINGS = ("router_settings", "litellm_settings")
_HINTS = {
    "num_retries": "LLMPROXY_MAX_RETRIES, or max_retries of a model, takes its place",
    "request_timeout": "LLMPROXY_CALL_TIMEOUT, or timeout of a model, takes its place",
    "timeout": "LLMPROXY_CALL_TIMEOUT, or timeout of a model, takes its place",
    "stream_timeout": "LLMPROXY_STREAM_TIMEOUT, or stream_timeout of a model, takes its place",
    "master_key": "the administrator's key is the secret llmproxy-admin-key",
    "database_url": "keys, teams and budgets of LiteLLM's database are not imported",
    "include": "other files are not read: import each of them",
}
_NOTHING = "nothing here corresponds to it"


@dataclass(frozen=True, slots=True)
class Conversion:
    """`found` is (where, record or the reason why there is none), models before the groups that name them.

    `remarks` are (where, sentence) in the order of the file; `secrets` the names that the vault must hold.
    """

    found: Sequence[tuple[str, Record | str]]
    remarks: Sequence[tuple[str, str]]
    secrets: Sequence[str]


def convert(
    content: bytes,
    *,
    now: str,
    variables: Mapping[str, str] | None = None,
    endpoint_hosts: Sequence[str] = (),
    known: Map | None = None,
) -> Conversion:
    """Reads the file. `now` becomes `created_at`. Raises `NotReadable`.

    `variables` say what `os.environ/NAME` means where no secret is wanted, before the file's own
    `environment_variables`; `known` is LiteLLM's model map, by default that of the installed library.
    """
    file = read_config(content)
    reading = _Reading(
        file, dict(variables or {}), read_map() if known is None else known, endpoint_hosts, now
    )
    reading.models()
    reading.aliases()
    reading.fallbacks()
    reading.leftovers()
    return reading.conversion()


def read_map() -> Map:
    """The model map of the installed LiteLLM, without its import; empty where there is none."""
    path = installed_map()
    try:
        entries = orjson.loads(path.read_bytes()) if path else {}
    except (OSError, orjson.JSONDecodeError):
        entries = {}
    return entries if isinstance(entries, dict) else {}


class _Reading:
    """One file on its way into documents. What was looked at is taken out of the sections."""

    def __init__(
        self, file: ConfigFile, variables: dict[str, str], known: Map, hosts: Sequence[str], now: str
    ) -> None:
        self._file = file
        self._rest = dict(file.content)
        self._hosts = hosts
        self._now = now
        self._remarks = Remarks()
        self._refused: list[tuple[Path, str]] = []
        self._drafts: dict[str, Draft] = {}
        self._aliases: dict[str, str] = {}
        self._sections = {name: self._section(name) for name in _SETTINGS}
        own = self._section("environment_variables")
        for name in own:
            if names_credential(name):
                self._remarks.add(
                    ("environment_variables", name),
                    "left out: a secret belongs into the vault, under this name",
                )
        texts = {name: str(value) for name, value in own.items() if isinstance(value, str | int | float)}
        usable = {name: text for name, text in texts.items() if not text.startswith(REFERENCE)}
        self._around = Around(usable | variables, self._credentials(), known, self._remarks)

    def models(self) -> None:
        named: dict[str, Named] = {}
        for path, name, entry in self._entries():
            named.setdefault(name, Named()).entries.append((path, entry))
        router = self._sections["router_settings"]
        written = router.pop("routing_strategy", "simple-shuffle")
        grouped = any(len(several.entries) > 1 for several in named.values())
        routing: Path = ("router_settings", "routing_strategy")
        strategy = group_strategy(written, routing, self._remarks) if grouped else "round-robin"
        taken = set(named)
        for name, several in named.items():
            ids = [name] if len(several.entries) == 1 else member_ids(name, several, taken)
            for place, ((where, entry), id) in enumerate(zip(several.entries, ids, strict=True)):
                if entry is not None and not self._add_model(where, id, name, entry):
                    several.entries[place] = (where, None)
            if len(several.entries) > 1 and any(entry for _, entry in several.entries):
                self._drafts[name] = make_group(name, several, ids, strategy, self._remarks)

    def aliases(self) -> None:
        for section, name in (
            ("router_settings", "model_group_alias"),
            ("litellm_settings", "model_alias_map"),
        ):
            written = self._sections[section].pop(name, None)
            for alias, target in written.items() if isinstance(written, Mapping) else ():
                path: Path = (section, name, alias)
                if isinstance(target, Mapping):
                    if target.get("hidden"):
                        self._remarks.add((*path, "hidden"), "left out: every name is listed")
                    target = target.get("model")
                found = self._drafts.get(str(target))
                if alias in self._drafts:
                    self._remarks.add(path, "left out: there is a model of this name")
                elif found is None:
                    self._remarks.add(path, f"left out: there is no {str(target)!a} in what is imported")
                else:
                    self._drafts[alias] = alias_of(alias, found, path)
                    self._aliases[alias] = found.id

    def fallbacks(self) -> None:
        for kind in KINDS:
            for section in _SETTINGS:
                written = self._sections[section].pop(kind, None)
                if written is not None:
                    add_fallbacks(kind, (section, kind), written, self._drafts, self._remarks)
        for section in _SETTINGS:
            written = self._sections[section].pop("default_fallbacks", None)
            if written is not None:
                add_default((section, "default_fallbacks"), written, self._drafts, self._remarks)

        for alias, target in self._aliases.items():
            # An alias falls back as what it stands for.
            ids = [id for id in self._drafts[target].document.get("fallbacks", ()) if id != alias]
            if ids:
                self._drafts[alias].document.setdefault("fallbacks", ids)

    def leftovers(self) -> None:
        """A remark for each setting that nobody has looked at."""
        for section, left in (*self._sections.items(), *self._rest.items()):
            if isinstance(left, Mapping) and left:
                for name in left:
                    self._remarks.add((section, name), f"left out: {_HINTS.get(name, _NOTHING)}")
            elif section in self._rest:
                self._remarks.add((section,), f"left out: {_HINTS.get(section, _NOTHING)}")

    def conversion(self) -> Conversion:
        records = [
            (draft.path, record)
            for draft in self._drafts.values()
            if (record := self._record(draft.path, draft.document)) is not None
        ]
        found: list[tuple[Path, Record | str]] = [*self._refused, *records]
        found.sort(key=lambda item: (_is_group(item[1]), self._file.line(item[0])))
        where = self._file.where
        return Conversion(
            [(where(path), outcome) for path, outcome in found],
            [(where(path), sentence) for path, sentence in self._in_order()],
            sorted(self._secrets(found)),
        )

    def _entries(self) -> list[tuple[Path, str, Entry | None]]:
        written = self._rest.pop("model_list", None)
        entries: list[tuple[Path, str, Entry | None]] = []
        if written is not None and not isinstance(written, list):
            self._refused.append((("model_list",), "must be a list"))
            return entries
        for index, item in enumerate(written or ()):
            path: Path = ("model_list", index)
            name = item.get("model_name") if isinstance(item, Mapping) else None
            if not isinstance(item, Mapping) or not isinstance(name, str | int | float) or not str(name):
                self._refused.append((path, "must be a mapping with a model_name"))
                continue
            if "*" in str(name):
                self._refused.append(((*path, "model_name"), "stands for many models: name each of them"))
                continue
            try:
                entry = read_entry(path, item, self._around)
            except EntryRefused as refused:
                self._refused.append((refused.path, refused.reason))
                entries.append((path, str(name), None))
            else:
                entries.append((path, str(name), entry))
        return entries

    def _add_model(self, path: Path, id: str, name: str, entry: Entry) -> bool:
        """Whether the model could serve."""
        document: Json = {"id": id, "name": name, **entry.document}
        if self._record(path, document) is None:
            return False
        self._drafts[id] = Draft(path, document)
        return True

    def _record(self, path: Path, document: Json) -> Record | None:
        kind = "group" if document.get("kind") == "group" else "model"
        try:
            return read_record(kind, {**document, "created_at": self._now}, self._hosts)
        except Refused as refused:
            self._refused.append((path, str(refused)))
            return None

    def _section(self, name: str) -> Json:
        written = self._rest.get(name)
        if not isinstance(written, Mapping):
            return {}
        del self._rest[name]
        return dict(written)

    def _credentials(self) -> Mapping[str, tuple[Path, Mapping[str, object]]]:
        written = self._rest.pop("credential_list", None)
        found: dict[str, tuple[Path, Mapping[str, object]]] = {}
        for index, item in enumerate(written if isinstance(written, list) else ()):
            values = item.get("credential_values") if isinstance(item, Mapping) else None
            if isinstance(values, Mapping):
                path: Path = ("credential_list", index, "credential_values")
                found[str(item.get("credential_name"))] = (path, values)
        return found

    def _in_order(self) -> list[tuple[Path, str]]:
        return sorted(self._remarks.made, key=lambda remark: self._file.line(remark[0]))

    @staticmethod
    def _secrets(found: Sequence[tuple[Path, Record | str]]) -> set[str]:
        names: set[str] = set()
        for _, record in found:
            if isinstance(record, Record):
                parameters = record.body.get("parameters", {})
                names.update(parameters.get("litellm_secrets", {}).values())
                names.update({parameters["secret_name"]} if "secret_name" in parameters else ())
        return names


def _is_group(outcome: Record | str) -> bool:
    return isinstance(outcome, Record) and outcome.kind == "group"
