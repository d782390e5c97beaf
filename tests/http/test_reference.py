"""The OpenAPI document and the reference page: valid, complete, and true of the app that serves them."""

import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from itertools import chain
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from functions import create_app
from functions.azure_flavour import _OPERATIONS as AZURE_OPERATIONS
from shared import Json
from shared.bootstrap import build_services
from shared.devhost.functions import read_functions
from shared.devhost.routes import Matcher
from shared.inference import operations
from shared.openapi.endpoint import EVENTS, FORM, JSON, Endpoint, Example
from shared.openapi.failures import MEANINGS, error_codes
from shared.settings import Settings
from tests.examples import DESCRIBED, WORKING, Sender, name_of
from tests.proxy import Proxy, running_proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = [pytest.param(endpoint, example, id=name_of(endpoint, example)) for endpoint, example in WORKING]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    async with running_proxy(tmp_path_factory.mktemp("reference")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(proxy: Proxy) -> Json:
    reply = await proxy.call("GET", "/v1/openapi.json", key=None)
    assert reply.status == 200
    return dict(reply.json())


def validate(document: Json, schema: Json, value: Any) -> None:
    """`value` against a schema of the document, whose references lead into the document."""
    registry: Any = Registry().with_resource(
        "urn:document",
        DRAFT202012.create_resource(document),
    )
    inside = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    jsonschema.Draft202012Validator(inside, registry=registry).validate(value)


def operation_of(document: Json, endpoint: Endpoint) -> Json:
    return dict(document["paths"][endpoint.path][endpoint.method.lower()])


async def test_the_document_is_valid_openapi(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


async def test_each_id_is_there_once(document: Json) -> None:
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


def functions_of_the_app(proxy: Proxy) -> set[str]:
    return set(proxy.services.functions)


async def test_every_function_is_described(proxy: Proxy) -> None:
    """The function of Azure's addresses is described by what it leads to."""
    assert functions_of_the_app(proxy) - {"azure_flavour"} == {endpoint.function for endpoint in DESCRIBED}


async def test_every_function_goes_by_the_name_it_is_registered_under(proxy: Proxy) -> None:
    app = create_app(build_services(Settings(mode="local", local_dir=proxy.directory)))
    registered = {route.name for route in read_functions(app, "")[0]}
    assert functions_of_the_app(proxy) == registered


async def test_every_method_of_a_function_is_described(proxy: Proxy) -> None:
    for name, declared in proxy.services.functions.items():
        if set(declared.methods) >= {"GET", "PUT"}:
            # It looks at the address first, and takes what that does.
            continue
        methods = {endpoint.method for endpoint in DESCRIBED if endpoint.function == name}
        assert methods == set(declared.methods) - {"HEAD", "OPTIONS"}, name


async def test_every_address_is_served_by_the_function_that_is_named(proxy: Proxy) -> None:
    app = create_app(build_services(Settings(mode="local", local_dir=proxy.directory)))
    matcher = Matcher(read_functions(app, "")[0])
    for endpoint in DESCRIBED:
        found = matcher.find(endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.path))
        assert found is not None
        assert found[0].name == endpoint.function, endpoint.path


async def test_every_operation_is_described_with_all_that_it_declares() -> None:
    declared = [value for value in vars(operations).values() if isinstance(value, operations.Operation)]
    as_json = [operation.as_json for operation in declared]
    for operation in declared:
        found = [endpoint for endpoint in DESCRIBED if endpoint.operation == operation]
        assert found or operation in as_json, operation.path
        endpoint = next((one for one in found if one.path == f"/v1/{operation.path}"), None)
        if endpoint is None or operation == operations.REALTIME:
            continue
        media = set(endpoint.request)
        assert (
            media == {FORM, JSON} if operation.as_json else media == {FORM if operation.multipart else JSON}
        )
        answers = {media for answer in endpoint.answers for media in answer.content}
        assert (EVENTS in answers) is (operation.reading is not None or operation.bytes), operation.path
        assert (JSON in answers) is not operation.bytes, operation.path


async def test_azures_addresses_are_described(document: Json) -> None:
    for path in AZURE_OPERATIONS:
        assert f"/openai/deployments/{{deployment}}/{path}" in document["paths"]
        assert f"/openai/v1/{path}" in document["paths"]
    assert "/openai/v1/models" in document["paths"]
    assert not any(path.startswith("/openai/v1/manage") for path in document["paths"])


async def test_every_described_address_that_needs_a_key_refuses_to_go_without(
    proxy: Proxy, document: Json
) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "101" in operation["responses"]:
                # The key of a WebSocket is asked for when one comes.
                continue
            address = re.sub(r"\{\w+\}", "x", path)
            reply = await proxy.call(method.upper(), address, key=None)
            assert (reply.status == 401) is bool(operation["security"]), (method, path)
            assert str(reply.status) in operation["responses"], (method, path)


async def test_every_status_that_the_proxy_raises_has_its_response(document: Json) -> None:
    assert set(error_codes()) == set(MEANINGS)
    assert set(document["components"]["responses"]) == {f"Error{status}" for status in MEANINGS}
    for response in document["components"]["responses"].values():
        content = response["content"][JSON]
        validate(document, content["schema"], content["example"])


async def test_every_endpoint_with_a_body_has_an_example_or_needs_what_only_a_call_makes() -> None:
    without = {endpoint.id for endpoint in DESCRIBED if endpoint.request and not endpoint.examples}
    assert without == {"recomputeUsage"}


async def test_a_jobs_result_has_the_headers_of_an_answer_that_was_waited_for(document: Json) -> None:
    waited = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]
    for collection in ("/v1/async/chat/completions", "/v1/chat/completions/async"):
        result = document["paths"][f"{collection}/{{id}}/result"]["get"]["responses"]["200"]
        assert result["headers"] == waited["headers"]


@pytest.mark.parametrize(("endpoint", "example"), EXAMPLES)
async def test_each_example_works_and_fits_its_schemas(
    proxy: Proxy, document: Json, endpoint: Endpoint, example: Example
) -> None:
    operation = operation_of(document, endpoint)
    if example.body is not None:
        media = FORM if example.files else JSON
        content = document["components"]["requestBodies"][endpoint.id]["content"][media]
        written = content["examples"][example.name]["value"]
        assert written.items() >= example.body.items()
        validate(document, content["schema"], written)
    sent = await Sender(proxy.http, proxy.url, proxy.key).send(endpoint, example)
    assert 200 <= sent.status < 300, sent.body
    schema = operation["responses"][str(sent.status)]["content"][sent.media].get("schema")
    if sent.media == EVENTS:
        events = list(sent.events())
        assert events
        for event in events:
            validate(document, schema, event)
    elif sent.media == JSON:
        validate(document, schema, json.loads(sent.body))
    else:
        assert sent.body


async def test_a_field_that_may_be_null_fits_as_null(document: Json) -> None:
    content = document["components"]["requestBodies"]["createImage"]["content"][JSON]
    validate(
        document, content["schema"], {"prompt": "Bread", "model": None, "response_format": None, "n": None}
    )


async def test_a_wrong_body_does_not_fit_the_schema(document: Json) -> None:
    """The schemas say something: they refuse what the proxy refuses."""
    content = document["components"]["requestBodies"]["createChatCompletion"]["content"][JSON]
    wrongs: list[Json] = [{}, {"messages": []}, {"messages": "Hello"}, {"messages": [{"content": "x"}]}]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            validate(document, content["schema"], wrong)


async def test_without_keys_the_document_says_that_none_is_needed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with running_proxy(tmp_path_factory.mktemp("open"), require_keys=False) as proxy:
        paths = (await proxy.call("GET", "/v1/openapi.json", key=None)).json()["paths"]
    assert {} in paths["/v1/chat/completions"]["post"]["security"]
    assert {} not in paths["/manage/keys"]["get"]["security"]


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/v1/docs"])
async def test_what_is_known_is_not_sent_again(proxy: Proxy, path: str) -> None:
    first = await proxy.call("GET", path, key=None)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await proxy.call("GET", path, key=None, headers={"If-None-Match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    changed = await proxy.call("GET", path, key=None, headers={"If-None-Match": '"other"'})
    assert (changed.status, changed.body) == (200, first.body)
    assert (await proxy.call("HEAD", path, key=None)).headers["etag"] == tag


class Outline(HTMLParser):
    """What a page is made of."""

    VOID = frozenset(("meta", "br"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_shows_every_operation_and_loads_nothing(proxy: Proxy, document: Json) -> None:
    reply = await proxy.call("GET", "/v1/docs", key=None)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    outline = Outline()
    outline.feed(reply.body.decode())
    assert outline.open == []
    operations = chain.from_iterable(item.values() for item in document["paths"].values())
    assert {operation["operationId"] for operation in operations} <= outline.ids
    assert not {"script", "link", "img", "iframe", "form", "object"} & outline.tags
    for name, value in outline.attributes:
        assert name not in ("src", "style")
        assert not name.startswith("on")
        if name == "href":
            assert value == "openapi.json" or value.removeprefix("#") in outline.ids


async def test_the_page_tells_of_errors_and_examples(proxy: Proxy) -> None:
    page = (await proxy.call("GET", "/v1/docs", key=None)).body.decode()
    assert "context_length_exceeded" in page
    assert "curl -X POST $LLMPROXY/v1/chat/completions" in page
    assert "-F &#x27;image=@example.png&#x27;" in page
