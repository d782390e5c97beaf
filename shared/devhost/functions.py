"""Reads a FunctionApp: which functions there are, and what triggers them."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import azure.functions as func
from azure.functions.decorators.retry_policy import RETRY_POLICY

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


@dataclass(frozen=True, slots=True)
class HubTarget:
    """A function that takes batches of a hub's events, as a reader of the group `consumers`.

    `held`: a batch that failed comes again, after `pause` seconds and without end.
    """

    name: str
    function: HttpFunction
    argument: str
    hub: str
    consumers: str
    held: bool
    pause: float


class Functions(NamedTuple):
    routes: list[Route[HttpTarget]]
    timers: list[TimerTarget]
    hubs: list[HubTarget]


def read_functions(app: func.FunctionApp, prefix: str) -> Functions:
    """What an app has, by trigger. Raises ValueError for one that the local host does not know.

    Azure's library lets an app be read once.
    """
    found = Functions([], [], [])
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
            target = HttpTarget(user_function, settings["name"])
            found.routes.append(Route(name, template, methods, target))
        elif kind == "timerTrigger":
            found.timers.append(TimerTarget(name, user_function, settings["name"], settings["schedule"]))
        elif kind == "eventHubTrigger":
            policy = function.get_settings_dict(RETRY_POLICY)
            found.hubs.append(_hub_target(name, user_function, settings, policy))
        else:
            raise ValueError(f"the local host cannot run {name}, which is triggered by {kind}")
    return found


def route_prefix(host_json: Path) -> str:
    """The prefix of all routes in host.json; Azure's default is `api`."""
    return str(_extensions(host_json).get("http", {}).get("routePrefix", "api"))


def batch_size(host_json: Path) -> int:
    """Events in a batch at most; Azure's default is 100."""
    return int(_extensions(host_json).get("eventHubs", {}).get("maxEventBatchSize", 100))


def _hub_target(
    name: str, function: HttpFunction, settings: Mapping[str, Any], policy: Mapping[str, Any] | None
) -> HubTarget:
    if _word(settings.get("cardinality")) != "many":
        raise ValueError(f"the local host cannot run {name}: it takes events in batches only")
    consumers = str(settings.get("consumerGroup") or "$Default")
    hub, argument = str(settings["eventHubName"]), str(settings["name"])
    return HubTarget(name, function, argument, hub, consumers, *_retries(policy))


def _extensions(host_json: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(host_json.read_text(encoding="utf-8")).get("extensions", {})
    return found


def _word(value: object) -> str:
    """The text of an enum of Azure's library, or the text that may be given in its place."""
    return str(getattr(value, "value", value)).lower()


def _retries(policy: Mapping[str, Any] | None) -> tuple[bool, float]:
    """Whether a failed batch is tried without end, and the seconds before the next try."""
    if not policy or int(policy.get("max_retry_count") or 0) >= 0:
        return False, 0.0
    interval = policy.get("minimum_interval") or policy.get("delay_interval") or "00:00:01"
    hours, minutes, seconds = (float(part) for part in str(interval).split(":"))
    return True, hours * 3600 + minutes * 60 + seconds
