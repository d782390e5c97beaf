"""The core of the proxy. Nothing here imports from `functions`."""

from typing import Any, TypeAlias

VERSION = "0.1.0"
SERVICE = "llm-proxy"

Json: TypeAlias = dict[str, Any]
"""A decoded JSON object. Its shape is known only to whoever sent it."""
