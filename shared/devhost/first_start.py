"""What local mode has after its first start: demo models and the administrator's key in a file."""

import os
from pathlib import Path

from shared.containers import COUNTERS, MODELS
from shared.devhost.demo_models import demo_models
from shared.errors import DocumentExists
from shared.ports import DocumentStore, SecretStore
from shared.secrets import ADMIN_KEY

_MARK = {"id": "local:demo-models"}


async def prepare_local(directory: Path, store: DocumentStore, secrets: SecretStore) -> None:
    """Adds the demo models once: one that was deleted does not come back. The key's file is kept current."""
    _write_key(directory / "admin-key", await secrets.get(ADMIN_KEY))
    if await store.get(COUNTERS, _MARK["id"]) is not None:
        return
    for document in demo_models():
        try:
            await store.create(MODELS, document)
        except DocumentExists:
            continue
    await store.upsert(COUNTERS, dict(_MARK))


def _write_key(path: Path, key: str) -> None:
    """Readable by its owner alone from the moment it exists."""
    if path.exists() and path.read_text(encoding="utf-8").strip() == key:
        return
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(key + "\n")
