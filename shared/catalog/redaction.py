"""A document as it may be shown: a credential that someone wrote into it by mistake stays out."""

from collections.abc import Mapping

from shared import Json
from shared.catalog.names import looks_secret, names_credential
from shared.catalog.parameters import Parameters
from shared.secrets import secret_name
from shared.wire.parameters import OPENAI_PARAMETERS

HIDDEN = "(hidden)"
_FREE = ("default_params", "extra_headers", "litellm_params")


def without_secrets(document: Json) -> Json:
    """A copy of a document in which what may be a credential is `(hidden)`.

    `/manage` never stores one, but documents may be written into the database by other means.
    """
    shown = {name: HIDDEN if names_credential(name) else value for name, value in document.items()}
    parameters = document.get("parameters")
    if isinstance(parameters, Mapping):
        shown["parameters"] = {name: _parameter(name, value) for name, value in parameters.items()}
    return shown


def _parameter(name: str, value: object) -> object:
    if name not in Parameters.model_fields:
        return HIDDEN
    if name in _FREE and isinstance(value, Mapping):
        return {
            key: HIDDEN if names_credential(key) and key not in OPENAI_PARAMETERS else item
            for key, item in value.items()
        }
    if name == "litellm_secrets" and isinstance(value, Mapping):
        return {key: _reference(item) for key, item in value.items()}
    if name == "secret_name":
        return _reference(value)
    if name == "endpoint" and isinstance(value, str) and ("@" in value or "?" in value):
        return HIDDEN
    return value


def _reference(value: object) -> object:
    """The name of a secret, or `(hidden)` where it is none: it may be the secret."""
    if not isinstance(value, str) or looks_secret(value.strip()):
        return HIDDEN
    try:
        secret_name(value)
    except ValueError:
        return HIDDEN
    return value
