"""`litellm_params` of an entry as `parameters` of a model: where it is called, as whom, and with what."""

from collections.abc import Mapping

from shared import Json
from shared.catalog.names import (
    names_credential,
    reads_environment,
    refuse_default,
    refuse_header,
    refuse_litellm,
    refuse_litellm_secret,
)
from shared.secrets import secret_name
from shared.transfer.litellm_file import Path
from shared.transfer.litellm_info import holds_secret
from shared.transfer.litellm_providers import Target
from shared.transfer.litellm_values import EntryRefused, Fields, Remarks, Value
from shared.wire.parameters import OPENAI_PARAMETERS

_OWN_VARIABLES = {
    "OpenAINative": "OPENAI_API_KEY",
    "AzureOpenAI": "AZURE_API_KEY",
    "AzureFoundry": "AZURE_AI_API_KEY",
    "AnthropicNative": "ANTHROPIC_API_KEY",
    "GoogleGemini": "GEMINI_API_KEY",
}
"""Where LiteLLM looks for a key that an entry does not name."""
_PLACEHOLDERS = frozenset(("", "dummy", "empty", "fake", "fake-key", "no-key", "none", "not-needed", "null"))
"""Texts that stand for a key where a server wants none."""
_IDENTITY = ("azure_ad_token", "azure_password", "azure_username", "client_id", "client_secret", "tenant_id")
"""Other ways than a key to be known to Azure."""
_OF_LITELLM = frozenset(
    """
additional_drop_params allowed_openai_params auto_router_config budget_duration cache_control_injection_points
cooldown_time drop_params guardrails max_budget merge_reasoning_content_in_choices modify_params request_timeout
tag_regex tags use_in_pass_through use_litellm_proxy
""".split()
)
"""What LiteLLM's own router and proxy do with an entry; no provider is told."""
_LONGEST = 3600.0
_MOST_RETRIES = 10


class ParameterReader:
    """Takes `litellm_params` apart. Raises `EntryRefused` where a model without the field would be another one."""

    def __init__(self, params: Fields, variables: Mapping[str, str], remarks: Remarks) -> None:
        self._params = params
        self._variables = variables
        self._remarks = remarks

    def endpoint(self) -> str | None:
        for name in ("api_base", "base_url", "azure_endpoint"):
            text = self._params.text(name)
            if text:
                return text
        return None

    def read(self, target: Target, endpoint: str | None) -> Json:
        """All parameters; afterwards no field is left."""
        parameters: Json = {}
        if target.provider == "Azure":
            self._azure(target, endpoint, parameters)
        elif endpoint and target.model_type != "OpenAINative":
            parameters["endpoint"] = endpoint
        if target.model_type.startswith("GoogleVertex"):
            self._vertex(parameters)
        elif "auth" not in parameters:
            self._key(target, parameters)
        self._times(parameters)
        self._headers(target, parameters)
        for name, value in self._params.rest():
            self._other(name, value, target, parameters)
        if target.model_type == "LiteLLM" and not parameters.keys() & {"secret_name", "litellm_secrets"}:
            self._remarks.add(
                self._params.path, "no credential is named: name one unless the provider wants none"
            )
        return parameters

    def _azure(self, target: Target, endpoint: str | None, parameters: Json) -> None:
        endpoint = endpoint or self._variables.get("AZURE_API_BASE")
        if not endpoint:
            raise EntryRefused((*self._params.path, "api_base"), "is required for Azure")
        parameters["endpoint"] = endpoint
        version = self._params.text("api_version") or self._variables.get("AZURE_API_VERSION")
        if version:
            parameters["api_version"] = version
        for name in _IDENTITY:
            value = self._params.take(name)
            if value is not None:
                parameters["auth"] = "managed_identity"
                self._remarks.add(value.path, "left out: the app's managed identity takes its place")

    def _vertex(self, parameters: Json) -> None:
        for theirs, ours, variable in (
            ("project", "gcp_project", "VERTEXAI_PROJECT"),
            ("location", "location", "VERTEXAI_LOCATION"),
        ):
            text = self._params.text(f"vertex_{theirs}") or self._params.text(f"vertex_ai_{theirs}")
            text = text or self._variables.get(variable)
            if text:
                parameters[ours] = text
        value = self._params.take("vertex_credentials") or self._params.take("vertex_ai_credentials")
        if value is not None:
            parameters["secret_name"] = self._secret(value)

    def _key(self, target: Target, parameters: Json) -> None:
        value = self._params.take("api_key")
        if value is None:
            variable = _OWN_VARIABLES.get(target.model_type)
            if variable:
                parameters["secret_name"] = secret_name(variable)
            elif target.prefix == "openai":
                self._remarks.add(self._params.path, "no api_key: none is sent, where LiteLLM sends OpenAI's")
            return
        written = value.written
        if target.model_type == "OpenAICompatible" and str(written).strip().lower() in _PLACEHOLDERS:
            self._remarks.add(value.path, "left out: no key is sent")
            return
        parameters["secret_name"] = self._secret(value)

    def _secret(self, value: Value) -> str:
        if value.reference is None:
            raise EntryRefused(
                value.path,
                "is a secret itself, which is never taken over: keep it in the vault and write os.environ/NAME",
            )
        try:
            return secret_name(value.reference)
        except ValueError as error:
            raise EntryRefused(value.path, str(error)) from None

    def _times(self, parameters: Json) -> None:
        for name in ("timeout", "stream_timeout"):
            seconds = self._params.number(name)
            if seconds:
                parameters[name] = min(float(seconds), _LONGEST)
                if seconds > _LONGEST:
                    self._remarks.add(
                        (*self._params.path, name), f"set to {_LONGEST:g} s, the longest there is"
                    )
        for name in ("max_retries", "num_retries"):
            tries = self._params.number(name, whole=True)
            if tries is not None:
                parameters["max_retries"] = min(int(tries), _MOST_RETRIES)

    def _headers(self, target: Target, parameters: Json) -> None:
        headers: dict[str, str] = {}
        organization = self._params.take("organization") if target.provider == "OpenAI" else None
        if organization is not None:
            headers["OpenAI-Organization"] = self._params.resolved(organization)
        for part in ("extra_headers", "headers"):
            value = self._params.take(part)
            if value is None:
                continue
            if not isinstance(value.written, Mapping):
                self._remarks.add(value.path, "left out: is no mapping of headers")
                continue
            for name, item in value.written.items():
                reason = refuse_header(name, item if isinstance(item, str) else "\n")
                if reason or reads_environment(item) or holds_secret(item):
                    self._remarks.add((*value.path, name), f"left out: {reason or 'may hold a credential'}")
                else:
                    headers[name] = item
        if headers:
            parameters["extra_headers"] = headers

    def _other(self, name: str, value: Value, target: Target, parameters: Json) -> None:
        """A field that means nothing of its own here: for the provider, for LiteLLM, or for nobody."""
        through_litellm = target.model_type == "LiteLLM"
        reference = value.reference
        if name in _OF_LITELLM:
            self._leave(value.path, "nothing here corresponds to it")
        elif name not in OPENAI_PARAMETERS and names_credential(name):
            if not through_litellm:
                self._leave(value.path, f"{target.model_type} has no use for it")
            else:
                reason = refuse_litellm_secret(name)
                if reason:
                    self._leave(value.path, reason)
                else:
                    parameters.setdefault("litellm_secrets", {})[name] = self._secret(value)
        elif reference is not None and reference not in self._variables and through_litellm:
            if refuse_litellm_secret(name):
                self._leave(value.path, str(refuse_litellm_secret(name)))
            else:
                parameters.setdefault("litellm_secrets", {})[name] = self._secret(value)
        else:
            self._plain(name, value, through_litellm, parameters)

    def _plain(self, name: str, value: Value, through_litellm: bool, parameters: Json) -> None:
        written = value.written if value.reference is None else self._variables.get(value.reference)
        if written is None or reads_environment(written):
            self._leave(value.path, "refers to the environment: say --variable NAME=VALUE or write it out")
        elif holds_secret(written):
            raise EntryRefused(value.path, "looks like a secret itself")
        elif through_litellm and name not in OPENAI_PARAMETERS:
            reason = refuse_litellm(name)
            if reason:
                self._leave(value.path, reason)
            else:
                parameters.setdefault("litellm_params", {})[name] = written
        else:
            reason = refuse_default(name)
            if reason:
                self._leave(value.path, reason)
            else:
                parameters.setdefault("default_params", {})[name] = written

    def _leave(self, path: Path, reason: str) -> None:
        self._remarks.add(path, f"left out: {reason}")
