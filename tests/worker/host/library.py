"""Azure's runtime library, driven in this process: start, index, invoke."""

import importlib
import json
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.worker.host import messages
from tests.worker.host.messages import Message, ParameterBinding, StatusResult, TypedData


class IndexingFailed(Exception):
    """The library refuses the app, as Azure would."""


@dataclass(frozen=True, slots=True)
class IndexedFunction:
    """A function as the library reports it to the host. `bindings` are function.json's."""

    name: str
    id: str
    bindings: list[dict[str, Any]]

    @property
    def trigger(self) -> dict[str, Any]:
        return next(binding for binding in self.bindings if binding["type"].lower().endswith("trigger"))


@dataclass(frozen=True, slots=True)
class Failure:
    """An invocation that the library reports as failed."""

    function: str
    message: str


class Library:
    """One app in one process: the library keeps its registry in globals, so there can be no second."""

    def __init__(self) -> None:
        # Imported here, since it exists for Python 3.13 and later only.
        self._runtime = importlib.import_module("azure_functions_runtime")
        self._properties: dict[str, object] = {"host": "127.0.0.1", "protos": messages}
        self.functions: dict[str, IndexedFunction] = {}
        self.http_address = ""
        self.failures: list[Failure] = []

    async def start(self, app_directory: Path) -> None:
        """Indexes `function_app.py` and opens the worker's HTTP server. Raises IndexingFailed."""
        sys.path.insert(0, str(app_directory))
        os.chdir(app_directory)
        self._runtime.start_threadpool_executor()
        started = await self._runtime.worker_init_request(
            self._request("worker_init_request", capabilities={}, function_app_directory=str(app_directory))
        )
        if started.result.status != StatusResult.Success:
            self._refuse(started.result.exception)
        listed = await self._runtime.functions_metadata_request(self._request("functions_metadata_request"))
        for found in listed.function_metadata_results or []:
            bindings = [json.loads(binding) for binding in found.raw_bindings]
            self.functions[found.name] = IndexedFunction(found.name, found.function_id, bindings)
        self.http_address = started.capabilities.get("HttpUri", "")

    async def invoke(
        self,
        name: str,
        data: TypedData,
        invocation: str | None = None,
        metadata: Mapping[str, TypedData] | None = None,
    ) -> Failure | None:
        """Runs one invocation to its end; None if it succeeded. `metadata` is the trigger's."""
        function = self.functions[name]
        answer = await self._runtime.invocation_request(
            self._request(
                "invocation_request",
                invocation_id=invocation or str(uuid.uuid4()),
                function_id=function.id,
                input_data=[ParameterBinding(name=function.trigger["name"], data=data)],
                trigger_metadata=dict(metadata or {}),
                trace_context=Message(trace_parent="", trace_state="", attributes={}),
                retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
            )
        )
        if answer.result.status == StatusResult.Success:
            return None
        failure = Failure(name, answer.result.exception.message)
        self.failures.append(failure)
        return failure

    def _request(self, kind: str, **fields: object) -> Message:
        return messages.request(kind, self._properties, **fields)

    def _refuse(self, exception: Message) -> NoReturn:
        raise IndexingFailed(f"{exception.message}\n{exception.stack_trace}")
