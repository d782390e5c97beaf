"""Images on the LiteLLM lane: what LiteLLM can draw, without a credential in the body of a request.

Models that speak OpenAI's own format are not drawn through LiteLLM: it rebuilds their answers, cannot
stream them, and forgets the parameters of variations.
"""

import asyncio
import base64
import binascii
import copy
import io
from collections.abc import AsyncGenerator, Mapping
from types import ModuleType
from typing import Any

import orjson

from shared import Json
from shared.errors import InvalidProviderResponse, InvalidValue, UnsupportedOperation, UnsupportedParameter
from shared.providers.calls import Answer, Call, Upload
from shared.providers.litellm_lane.answers import provider_headers
from shared.providers.litellm_lane.arguments import Arguments
from shared.providers.litellm_lane.chunks import dumped, is_private
from shared.providers.litellm_lane.parameters import Taken
from shared.providers.openai_errors import visible_headers
from shared.wire.events import Event
from shared.wire.parameters import OPENAI_PARAMETERS, refused_parameter
from shared.wire.usage import Usage, read_usage

PATHS = ("images/generations", "images/edits", "images/variations")
OWN = frozenset(("model", "prompt", "image", "images", "mask", "stream", "partial_images"))
"""Fields that are placed by name, or that only a stream has."""
_NOT_IN_EVENTS = ("created", "data", "usage")
_MEANING = frozenset(("n", "response_format"))
_VERBATIM = ("openai", "azure", "azure_ai")
_PLACED = ("api_key", "azure_ad_token")
"""Credentials that LiteLLM keeps out of the bodies of image requests."""


async def send_images(call: Call, module: ModuleType, access: Arguments) -> Answer:
    """Raises `UnsupportedOperation` and `UnsupportedParameter` for what the provider lacks."""
    _check_credentials(access)
    config = image_config(call, module, access)
    verbatim = access.provider in _VERBATIM or access.provider in module.openai_compatible_providers
    if config is None and not verbatim and access.provider != "bedrock":
        raise unable(call)
    found = Taken()
    for name, value in parameters(call).items():
        supported = config.get_supported_openai_params(access.model) if config is not None else ()
        if verbatim:
            found.extra[name] = value
        elif name in supported or name not in OPENAI_PARAMETERS or config is None:
            found.arguments[name] = value
        else:
            leave_out(found, name, value)
    values: Json = {**found.arguments, **access.values}
    if found.extra:
        values["extra_body"] = found.extra
    headers = values.pop("extra_headers", None)
    if headers:
        # As `extra_headers` LiteLLM would write them into the body.
        values["headers"] = dict(headers)
    answer = await _asked(call, module, values)
    return image_answer(answer, tuple(found.dropped))


async def _asked(call: Call, module: ModuleType, values: Json) -> Any:
    if call.path == "images/generations":
        return await module.aimage_generation(prompt=call.body["prompt"], **values)
    images, mask = await pictures(call)
    if call.path == "images/edits":
        beside = {"mask": mask} if mask is not None else {}
        return await module.aimage_edit(image=images, prompt=call.body["prompt"], **beside, **values)
    return await module.aimage_variation(image=images[0], **values)


def image_config(call: Call, module: ModuleType, access: Arguments) -> Any:
    """LiteLLM's translation for this model and operation; None where it has none."""
    manager = module.utils.ProviderConfigManager
    try:
        provider = module.LlmProviders(access.provider)
    except ValueError:
        return None
    if call.path == "images/generations":
        return manager.get_provider_image_generation_config(model=access.model, provider=provider)
    if call.path == "images/edits":
        return manager.get_provider_image_edit_config(model=access.model, provider=provider)
    return manager.get_provider_image_variation_config(model=access.model, provider=provider)


def unable(call: Call) -> UnsupportedOperation:
    return UnsupportedOperation(f"The provider of '{call.model.id}' does not do {call.path}.", param="model")


def parameters(call: Call) -> Json:
    """What of the body is to be translated. The texts of a form become numbers where they are numbers."""
    found: Json = {}
    for name, value in call.body.items():
        if name in OWN or value is None:
            continue
        if refused_parameter(name):
            # The pipeline refuses these names; they must not get here by another way either.
            raise UnsupportedParameter(f"The parameter '{name}' cannot be set here.", param=name)
        number = name == "n" and isinstance(value, str)
        found[name] = int(value) if number else copy.deepcopy(value)
    return found


def leave_out(found: Taken, name: str, value: Any) -> None:
    """Notes a parameter that the provider lacks. Raises where the answer would be another one without it."""
    if (name, value) in (("n", 1), ("size", "auto"), ("quality", "auto"), ("background", "auto")):
        return
    if name in _MEANING:
        raise UnsupportedParameter(
            f"The provider of this model does not take the parameter '{name}'.", param=name
        )
    found.dropped.append(name)


async def pictures(call: Call) -> tuple[list[io.BytesIO], io.BytesIO | None]:
    """(images, mask) that were uploaded, or that a JSON body holds as `data:` addresses."""
    if call.form is not None:
        return await asyncio.to_thread(_uploaded, call.form.files)
    images = [
        _decoded(image, f"images[{index}].image_url")
        for index, image in enumerate(call.body.get("images") or ())
    ]
    mask = call.body.get("mask")
    return images, _decoded(mask, "mask.image_url") if mask is not None else None


def _uploaded(files: tuple[Upload, ...]) -> tuple[list[io.BytesIO], io.BytesIO | None]:
    images, mask = [], None
    for file in files:
        content = io.BytesIO(file.read_at(0, file.size))
        content.name = file.filename
        if file.field in ("mask", "mask[]"):
            mask = content
        elif file.field in ("image", "image[]"):
            images.append(content)
    return images, mask


def _decoded(image: Mapping[str, Any], param: str) -> io.BytesIO:
    head, comma, data = str(image.get("image_url")).partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise InvalidValue("This model takes uploaded images, or 'data:' addresses in base64.", param=param)
    try:
        content = io.BytesIO(base64.b64decode(data, validate=True))
    except binascii.Error:
        raise InvalidValue("The image is not valid base64.", param=param) from None
    content.name = "image." + head[5:-7].rpartition("/")[2]
    return content


class WholeImages:
    """A plain answer as the stream that was asked for: each image completed, none of them partial."""

    def __init__(self, answer: Answer, call: Call) -> None:
        self.headers = answer.headers
        self.dropped = answer.dropped
        self.done = False
        self._content: Json = orjson.loads(answer.body)
        self._name = "image_edit.completed" if call.path == "images/edits" else "image_generation.completed"

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        about = {name: value for name, value in self._content.items() if name not in _NOT_IN_EVENTS}
        *others, last = self._content["data"]
        usage = {"usage": self._content["usage"]} if "usage" in self._content else {}
        for image, beside in (*((image, {}) for image in others), (last, usage)):
            chunk = {
                "type": self._name,
                **image,
                "created_at": self._content.get("created"),
                **about,
                **beside,
            }
            yield Event(orjson.dumps(chunk), chunk, self._name.encode())
        self.done = True

    async def aclose(self) -> None:
        """The answer is here already."""


def image_answer(answer: Any, dropped: tuple[str, ...]) -> Answer:
    """LiteLLM's `ImageResponse` in OpenAI's format. Raises `InvalidProviderResponse` for one without images."""
    content = {
        name: value
        for name, value in dumped(answer).items()
        if value is not None and not is_private(name) and name != "usage"
    }
    content["data"] = [
        {name: value for name, value in image.items() if value is not None and not is_private(name)}
        for image in content.get("data") or ()
    ]
    if not content["data"]:
        raise InvalidProviderResponse("The provider's answer holds no image.")
    usage = _usage(answer)
    if usage is not None:
        content["usage"] = {name: value for name, value in dumped(answer.usage).items() if value is not None}
    headers = visible_headers(provider_headers(answer))
    light = {**content, "data": [{} for _ in content["data"]]}
    return Answer(orjson.dumps(content), light, headers, usage, dropped)


def _usage(answer: Any) -> Usage | None:
    """What was reported; LiteLLM writes noughts where nothing was."""
    reported = getattr(answer, "usage", None)
    usage = read_usage(dumped(reported)) if reported is not None else None
    return usage if usage is not None and usage.total else None


def _check_credentials(access: Arguments) -> None:
    """Raises where LiteLLM would send a credential as a parameter of the image."""
    for name, value in access.values.items():
        if not isinstance(value, str) or value not in access.secrets or name in _PLACED:
            continue
        if access.provider == "bedrock" and name.startswith("aws_"):
            continue
        raise UnsupportedOperation(
            f"Images cannot be made with a credential that is given as '{name}'.", param="model"
        )
    if access.provider == "azure_ai" and "azure_ad_token" in access.values:
        raise UnsupportedOperation("Images of this model need an API key.", param="model")
