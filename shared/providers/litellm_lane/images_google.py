"""Images of Google's models (Imagen and Gemini, on Vertex AI and AI Studio): LiteLLM translates, the lane sends.

LiteLLM's own way to Vertex AI writes the service account into the request's body, blocks a thread for each call,
and sends no credential at all to an endpoint of one's own. So only its translation is used, which is never shown
a credential.
"""

import asyncio
import io
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import orjson

from shared import Json
from shared.errors import (
    ContentPolicyViolation,
    InternalError,
    InvalidProviderResponse,
    ProviderUnavailable,
    UnsupportedParameter,
)
from shared.providers.calls import Answer, Call
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.images import (
    image_answer,
    image_config,
    leave_out,
    parameters,
    pictures,
    send_images,
    unable,
)
from shared.providers.litellm_lane.parameters import Taken
from shared.wire.parameters import OPENAI_PARAMETERS

GOOGLE = frozenset(("gemini", "vertex_ai"))
_STUDIO = "https://generativelanguage.googleapis.com/v1beta"
_NATIVE = frozenset(("seed", "tools", "web_search_options"))
"""Names of OpenAI's that Google's models have too."""
_TOLERANCE = 0.08
"""How far the shape of a picture may be from the one asked for before `size` counts as dropped."""
_RATIO = re.compile(r"(\d+):(\d+)")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_BLOCKED = (b'"raiFilteredReason"', b'"blockReason"', b'"IMAGE_SAFETY"', b'"PROHIBITED_CONTENT"')
"""Google's words for a picture that it would not make."""


@dataclass(frozen=True, slots=True)
class _Request:
    body: bytes
    content: Json


async def draw(call: Call, module: ModuleType, access: Arguments) -> Answer:
    """A generation, an edit or a variation by whatever LiteLLM can ask for one."""
    if access.provider in GOOGLE:
        return await send_google_images(call, module, access)
    return await send_images(call, module, access)


async def send_google_images(call: Call, module: ModuleType, access: Arguments) -> Answer:
    """Raises `UnsupportedParameter` and `UnsupportedOperation` for what the model lacks."""
    config = image_config(call, module, access) if call.path != "images/variations" else None
    if config is None:
        raise unable(call)
    images, mask = await pictures(call) if call.path == "images/edits" else ([], None)
    found = _taken(call, config, access, mask)
    made = await asyncio.to_thread(_translated, call, config, access, found, images)
    _report_lost(found, made.content)
    _check_secrets(made.body, access)
    address, headers = await _destination(call, module, access)
    client = module.llms.custom_httpx.http_handler.get_async_httpx_client(
        llm_provider=module.LlmProviders(access.provider)
    )
    response = await client.post(
        url=address, headers=headers, content=made.body, timeout=access.values["timeout"]
    )
    answer = await asyncio.to_thread(_read, call, config, access, response, module)
    if not answer.data:
        if any(word in response.content for word in _BLOCKED):
            raise ContentPolicyViolation("The provider refused to make this image.", param="prompt")
        raise InvalidProviderResponse("The provider's answer holds no image.")
    return image_answer(answer, tuple(found.dropped))


def _taken(call: Call, config: Any, access: Arguments, mask: io.BytesIO | None) -> Taken:
    """Sorts a body: `arguments` are translated, `extra` goes as it is."""
    found = Taken()
    supported = config.get_supported_openai_params(access.model)
    for name, value in parameters(call).items():
        if (name, value) in (("response_format", "b64_json"), ("size", "auto")):
            continue
        if name in supported:
            found.arguments[name] = value
        elif name in OPENAI_PARAMETERS and name not in _NATIVE:
            leave_out(found, name, value)
        else:
            found.extra[name] = value
    if mask is not None:
        if "mask" not in supported:
            raise UnsupportedParameter("The provider of this model takes no mask.", param="mask")
        found.arguments["mask"] = mask
    return found


def _translated(
    call: Call, config: Any, access: Arguments, found: Taken, images: list[io.BytesIO]
) -> _Request:
    """The request in Google's words. LiteLLM's translation sees the body alone, and no credential."""
    prompt = call.body["prompt"]
    if call.path == "images/edits":
        mapped = config.map_openai_params(
            image_edit_optional_params=found.arguments, model=access.model, drop_params=False
        )
        made, _ = config.transform_image_edit_request(
            model=access.model,
            prompt=prompt,
            image=images,
            image_edit_optional_request_params={**found.extra, **mapped},
            litellm_params=None,
            headers={},
        )
    else:
        mapped = config.map_openai_params(
            non_default_params=found.arguments, optional_params={}, model=access.model, drop_params=False
        )
        made = config.transform_image_generation_request(
            model=access.model,
            prompt=prompt,
            optional_params={**found.extra, **mapped},
            litellm_params={},
            headers={},
        )
    body = made.encode() if isinstance(made, str) else orjson.dumps(made)
    return _Request(body, orjson.loads(body) if isinstance(made, str) else made)


def _report_lost(found: Taken, content: Json) -> None:
    """Notes what LiteLLM's translation left out in silence: names without a place, and shapes it does not know."""
    placed = _names(content.get("parameters")) | _names(content.get("generationConfig")) | set(content)
    for name in found.extra:
        if name not in placed and _camel(name) not in placed:
            found.dropped.append(name)
    size = found.arguments.get("size")
    if size is not None and not _has_shape(str(size), content):
        found.dropped.append("size")


def _names(value: Any) -> set[str]:
    """The names in an object and in those within it."""
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(_names(inner) for inner in value.values()))


def _has_shape(size: str, content: Json) -> bool:
    asked = _SIZE.fullmatch(size)
    told = _RATIO.search(str(_value_of(content, ("aspectRatio", "aspect_ratio"))))
    if asked is None or told is None or not int(asked[2]):
        return False
    wanted, given = int(asked[1]) / int(asked[2]), int(told[1]) / int(told[2])
    return abs(wanted - given) <= _TOLERANCE * given


def _value_of(value: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        return None
    for name, inner in value.items():
        found = inner if name in names else _value_of(inner, names)
        if found is not None:
            return found
    return None


def _check_secrets(body: bytes, access: Arguments) -> None:
    """The translation never saw a credential; what leaves is looked at all the same."""
    if any(secret.encode() in body for secret in access.secrets if len(secret) > 3):
        raise InternalError


async def _destination(call: Call, module: ModuleType, access: Arguments) -> tuple[str, dict[str, str]]:
    """(address, headers with the credential)."""
    values = access.values
    headers = {"Content-Type": "application/json", **values.get("extra_headers", {})}
    gemini = access.model.startswith("gemini")
    method = "generateContent" if gemini else "predict"
    if access.provider == "gemini":
        base = str(values.get("api_base") or _STUDIO).rstrip("/")
        headers["x-goog-api-key"] = str(values.get("api_key") or "")
        return f"{base}/models/{access.model}:{method}", headers
    project, location = values.get("vertex_project"), values.get("vertex_location") or "us-central1"
    # The one that chats use too: it keeps tokens until they expire.
    token, own_project = await module.main.vertex_chat_completion.ensure_access_token_async(
        credentials=values.get("vertex_credentials"), project_id=project, custom_llm_provider="vertex_ai"
    )
    if not (project or own_project):
        raise ProviderUnavailable(f"The model '{call.model.id}' names no Google Cloud project.")
    headers["Authorization"] = f"Bearer {token}"
    base = values.get("api_base") or module.llms.vertex_ai.common_utils.get_vertex_base_url(location)
    path = f"projects/{project or own_project}/locations/{location}/publishers/google/models/{access.model}"
    return f"{str(base).rstrip('/')}/v1/{path}:{method}", headers


def _read(call: Call, config: Any, access: Arguments, response: Any, module: ModuleType) -> Any:
    """LiteLLM's `ImageResponse` of Google's answer."""
    if call.path == "images/edits":
        return config.transform_image_edit_response(
            model=access.model, raw_response=response, logging_obj=None
        )
    return config.transform_image_generation_response(
        model=access.model,
        raw_response=response,
        model_response=module.ImageResponse(),
        logging_obj=None,
        request_data={},
        optional_params={},
        litellm_params={},
        encoding=None,
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
