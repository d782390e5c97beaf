"""What is filled in from LiteLLM's model map."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.catalog.capabilities import CapabilityBook
from tests.unit.catalog.worlds import AZURE, OPENAI, VERTEX, changed, model


async def test_the_installed_map_fills_what_a_document_leaves_open() -> None:
    models = [
        model("openai"),
        model("azure", base=changed(AZURE, {"parameters.deployment_name": "prod"})),
        model("vertex", base=VERTEX),
        model("claude", base=VERTEX, model_type="GoogleVertexClaude", code="sonnet-4-5@20250929"),
        model("unheard-of", code="no-such-model"),
    ]
    book = CapabilityBook()
    await book.learn(models)
    for known in models[:4]:
        found = book.of(known)
        assert found.vision is True, known.id
        assert found.function_calling is True, known.id
        assert found.streaming is True, known.id
        assert (found.max_input_tokens or 0) > 100_000, known.id
    assert book.of(models[0]).reasoning is False
    assert book.of(models[4]) == models[4].capabilities


async def test_what_the_document_says_stands() -> None:
    said = model(capabilities={"vision": False, "max_input_tokens": 5})
    book = CapabilityBook()
    await book.learn([said])
    assert book.of(said).vision is False
    assert book.of(said).max_input_tokens == 5
    assert book.of(said).function_calling is True


async def test_before_it_learnt_a_book_knows_what_documents_say() -> None:
    assert CapabilityBook().of(model(capabilities={"vision": True})).vision is True
    assert CapabilityBook().of(model()).vision is None


async def test_only_models_that_were_asked_about_are_kept_and_the_map_is_read_once_for_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "map.json"
    entry = {"mode": "chat", "supports_vision": True, "max_input_tokens": "128k"}
    path.write_text(json.dumps({"gpt-4o": entry, "o3": entry, "sample_spec": "text"}))
    book = CapabilityBook(path)
    await book.learn([model()])
    assert book.of(model()).vision is True
    assert book.of(model()).max_input_tokens is None
    path.unlink()
    await book.learn([model()])
    assert book.of(model()).vision is True
    assert book.of(model(code="o3")).vision is None


@pytest.mark.parametrize("content", ["", "[]", '{"gpt-4o": 1}', "\xff"])
async def test_a_map_that_cannot_be_read_is_no_map(tmp_path: Path, content: str) -> None:
    path = tmp_path / "map.json"
    path.write_text(content, encoding="latin-1")
    book = CapabilityBook(path)
    await book.learn([model()])
    assert book.of(model()) == model().capabilities


def test_nothing_of_this_imports_litellm() -> None:
    program = (
        "import asyncio, sys\n"
        "from shared.catalog import admin, cache, view\n"
        "from shared.catalog.capabilities import CapabilityBook\n"
        "from shared.catalog.documents import parse_document\n"
        f"document, _ = parse_document({OPENAI!r}, strict=True)\n"
        "book = CapabilityBook()\n"
        "asyncio.run(book.learn([document]))\n"
        "assert book.of(document).vision\n"
        "loaded = {'litellm', 'openai', 'azure.cosmos', 'aiohttp'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])
