"""Items of the Cosmos DB test server: what is stored, and what the real gateway would refuse."""

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from shared import Json
from shared.ports import Clock

LARGEST = 2 * 1024 * 1024
LONGEST_ID = 1023
MOST_OPERATIONS = 10
_ILLEGAL = re.compile(r"[/\\#?]")


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, sub_status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.sub_status = sub_status


@dataclass
class Item:
    body: Json
    etag: str
    written: float


@dataclass
class Items:
    """One container. Keys are (partition, id)."""

    name: str
    partition_path: str
    default_ttl: int | None
    clock: Clock
    stored: dict[tuple[str, str], Item] = field(default_factory=dict)

    def definition(self) -> Json:
        definition: Json = {
            "id": self.name,
            "_rid": self.rid,
            "partitionKey": {"paths": [self.partition_path], "kind": "Hash", "version": 2},
        }
        if self.default_ttl is not None:
            definition["defaultTtl"] = self.default_ttl
        return definition

    @property
    def rid(self) -> str:
        return f"rid-{self.name}"

    def live(self) -> list[tuple[str, Json]]:
        """(partition, document) of everything that has not expired."""
        return [
            (key[0], self.shown(key, item)) for key, item in self.stored.items() if not self._expired(item)
        ]

    def read(self, key: tuple[str, str]) -> Json:
        return self.shown(key, self._there(key))

    def create(self, partition: str, text: bytes) -> Json:
        body = self._checked(partition, text)
        key = (partition, body["id"])
        if key in self.stored and not self._expired(self.stored[key]):
            raise Refused(409, "Entity with the specified id already exists in the system.")
        return self._write(key, body)

    def upsert(self, partition: str, text: bytes) -> Json:
        body = self._checked(partition, text)
        return self._write((partition, body["id"]), body)

    def replace(self, key: tuple[str, str], text: bytes, if_match: str | None) -> Json:
        body = self._checked(key[0], text)
        if body["id"] != key[1]:
            raise Refused(400, "The id of the document and that of the address differ.")
        self._match(key, if_match)
        return self._write(key, body)

    def delete(self, key: tuple[str, str], if_match: str | None) -> None:
        self._match(key, if_match)
        del self.stored[key]

    def patch(self, key: tuple[str, str], operations: list[Json]) -> Json:
        body = dict(self._there(key).body)
        if not 1 <= len(operations) <= MOST_OPERATIONS:
            raise Refused(400, "A patch has one to ten operations.")
        for operation in operations:
            name = operation["path"].removeprefix("/")
            if (operation["op"], name) == ("set", "ttl"):
                body["ttl"] = _checked_time_to_live(operation["value"])
                continue
            if operation["op"] != "incr" or "/" in name or name == "id":
                raise Refused(400, "This server knows increments of top-level fields, and the ttl to be set.")
            before = body.get(name, 0)
            if isinstance(before, bool) or not isinstance(before, int | float):
                raise Refused(400, "The field to increment is not a number.")
            body[name] = before + operation["value"]
        return self._write(key, body)

    def shown(self, key: tuple[str, str], item: Item) -> Json:
        rid = f"{self.rid}-{key[0]}-{key[1]}"
        return {
            **item.body,
            "_rid": rid,
            "_self": f"dbs/d/colls/{self.rid}/docs/{rid}/",
            "_etag": item.etag,
            "_attachments": "attachments/",
            "_ts": int(item.written),
        }

    def _checked(self, partition: str, text: bytes) -> Json:
        if len(text) > LARGEST:
            raise Refused(413, "Request size is too large")
        body = json.loads(text)
        id = body.get("id")
        if not isinstance(id, str) or not id or _ILLEGAL.search(id) or id.endswith(" "):
            raise Refused(400, "The input name is invalid.")
        if len(id.encode()) > LONGEST_ID:
            raise Refused(400, "The id is too long.")
        if body.get(self.partition_path[1:]) != partition:
            raise Refused(
                400, "PartitionKey extracted from document doesn't match the one in the header", 1001
            )
        if "ttl" in body:
            _checked_time_to_live(body["ttl"])
        return {name: value for name, value in body.items() if name not in ("_rid", "_self", "_etag", "_ts")}

    def _there(self, key: tuple[str, str]) -> Item:
        item = self.stored.get(key)
        if item is None or self._expired(item):
            raise Refused(404, "Entity with the specified id does not exist in the system.", 0)
        return item

    def _match(self, key: tuple[str, str], if_match: str | None) -> None:
        if if_match not in (None, "*", self._there(key).etag):
            raise Refused(412, "Operation cannot be performed because a precondition is not met.")

    def _write(self, key: tuple[str, str], body: Json) -> Json:
        item = Item(body, f'"{secrets.token_hex(8)}"', self.clock.time())
        self.stored[key] = item
        return self.shown(key, item)

    def _expired(self, item: Item) -> bool:
        if self.default_ttl is None:
            return False
        seconds: Any = item.body.get("ttl", self.default_ttl)
        return bool(seconds > 0 and self.clock.time() >= item.written + seconds)


def _checked_time_to_live(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise Refused(400, "The ttl must be a positive whole number.")
    return value
