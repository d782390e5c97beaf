"""Reads a FunctionApp: which functions there are, and what triggers them."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

from shared.devhost.routes import Route

HttpFunction = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """A user function and the name of the argument that takes the request."""

    function: HttpFunction
    argument: str


@dataclass(frozen=True, slots=True)
class TimerTarget:
    """A timer function. `schedule` is NCRONTAB: six fields, seconds first, in UTC."""

    name: str
    function: HttpFunction
    argument: str
    schedule: str


def read_functions(app: func.FunctionApp, prefix: str) -> tuple[list[Route[HttpTarget]], list[TimerTarget]]:
    """The HTTP routes and the timers of an app. Raises ValueError for a trigger it does not know."""
    routes, timers = [], []
    for function in app.get_functions():
        name, trigger = str(function.get_function_name()), function.get_trigger()
        settings: Mapping[str, Any] = trigger.get_dict_repr() if trigger else {"type": "nothing"}
        kind, user_function = settings["type"], function.get_user_function()
        if kind == "httpTrigger":
            route = str(settings.get("route") or name)
            methods = frozenset(
                str(getattr(method, "value", method)).upper() for method in settings["methods"]
            )
            template = "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)
            routes.append(Route(name, template, methods, HttpTarget(user_function, settings["name"])))
        elif kind == "timerTrigger":
            timers.append(TimerTarget(name, user_function, settings["name"], settings["schedule"]))
        else:
            raise ValueError(f"the local host cannot run {name}, which is triggered by {kind}")
    return routes, timers


def route_prefix(host_json: Path) -> str:
    """The prefix of all routes in host.json; Azure's default is `api`."""
    content = json.loads(host_json.read_text(encoding="utf-8"))
    prefix = content.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    return str(prefix)
