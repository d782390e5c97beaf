"""The steps of the smoke test, in order. Each finds out one thing, and says in one line what is wrong."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from shared import SERVICE, Json
from shared.deployment.web import Answer, CannotAsk, Server

JOBS = "/v1/async/chat/completions"
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between two looks at a job; the last one goes on."""
_STARTING = frozenset((404, 502, 503))
"""What Azure answers while an app is being put in place or is starting."""


class StepFailed(Exception):
    """The message says what was wrong with the answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is tested. `limit` is in seconds for each step; `wait` is how long health may take to come.

    `version` is the one that must answer; `started_after` is the time (seconds since 1970) after which its
    process must have started: a deployment of the same version replaces the processes of the one before.
    """

    server: Server
    key: str
    model: str
    limit: float
    wait: float
    version: str | None = None
    started_after: float | None = None


class Clock:
    """The time that a step has left."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises `CannotAsk` when there are none."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise CannotAsk("no answer in time")
        return left

    def pause(self, seconds: float) -> None:
        time.sleep(min(seconds, self.left()))


def health(target: Target) -> str:
    """That the app answers, and is the one that was meant. It is asked again for `wait` seconds."""
    clock = Clock(max(target.wait, target.limit))
    patient = time.monotonic() + target.wait
    while True:
        try:
            answer = target.server.ask("GET", "/health", timeout=min(clock.left(), target.limit))
            problem = _health_problem(target, answer)
        except CannotAsk as error:
            problem = str(error)
            answer = None
        if not problem and answer is not None:
            return f"version {answer.json().get('version')}"
        other = answer is not None and answer.status not in _STARTING and answer.status != 200
        if other or time.monotonic() + 1.0 > patient:
            raise StepFailed(problem)
        clock.pause(1.0)


def models(target: Target) -> str:
    """That the key is good, the catalog can be read, and the model is in it."""
    answer = target.server.ask("GET", "/v1/models", bearer=target.key, timeout=target.limit)
    listed = _expect(answer, 200).get("data")
    if not isinstance(listed, list):
        raise StepFailed("the answer is not a list of models")
    ids = [entry.get("id") for entry in listed if isinstance(entry, dict)]
    if target.model not in ids:
        raise StepFailed(f"the model {target.model} is not among the {len(ids)} models of this key")
    return f"{len(ids)} models, {target.model} among them"


def chat(target: Target) -> str:
    """That a chat is answered whole."""
    answer = target.server.ask(
        "POST", "/v1/chat/completions", _question(target.model), bearer=target.key, timeout=target.limit
    )
    return _completion(_expect(answer, 200))


def job(target: Target) -> str:
    """That a chat is queued, taken, answered, and its result can be had."""
    clock = Clock(target.limit)
    body = {**_question(target.model), "timeout_seconds": 60, "ttl_hours": 1}
    answer = target.server.ask("POST", JOBS, body, bearer=target.key, timeout=clock.left())
    id = _expect(answer, 202).get("execution_id")
    if not isinstance(id, str) or not id:
        raise StepFailed("the answer has no execution_id")
    path = f"{JOBS}/{quote(id, safe='')}"
    state, looks = "queued", 0
    while state in ("queued", "processing"):
        try:
            clock.pause(_PAUSES[min(looks, len(_PAUSES) - 1)])
            answer = target.server.ask("GET", f"{path}/status", bearer=target.key, timeout=clock.left())
        except CannotAsk as error:
            raise StepFailed(f"the job {id} was {state} when the time was over ({error})") from None
        looks += 1
        status = _expect(answer, 200)
        state = str(status.get("status"))
    if state != "completed":
        raise StepFailed(f"the job {id} ended as {state}{_job_error(status)}")
    answer = target.server.ask("GET", f"{path}/result", bearer=target.key, timeout=clock.left())
    return f"{id}, {_completion(_expect(answer, 200))}"


STEPS: Mapping[str, Callable[[Target], str]] = {"health": health, "models": models, "chat": chat, "job": job}


def _question(model: str) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}


def _expect(answer: Answer, status: int) -> Json:
    if answer.status != status:
        raise StepFailed(answer.problem())
    return answer.json()


def _health_problem(target: Target, answer: Answer) -> str:
    if answer.status != 200:
        return answer.problem()
    body = answer.json()
    if body.get("service") != SERVICE or body.get("status") != "healthy":
        return "the answer is not the health of this service"
    if target.version is not None and body.get("version") != target.version:
        return f"version {body.get('version')} answers, {target.version} was deployed"
    uptime = body.get("uptime_seconds")
    if target.started_after is not None and (
        not isinstance(uptime, int | float) or time.time() - uptime < target.started_after
    ):
        return "a process answers that was there before the deployment"
    return ""


def _completion(body: Json) -> str:
    """What a whole completion says of itself. Raises `StepFailed` for anything else."""
    try:
        choice = body["choices"][0]
        content, reason, tokens = (
            choice["message"]["content"],
            choice["finish_reason"],
            body["usage"]["total_tokens"],
        )
    except (LookupError, TypeError):
        raise StepFailed("the answer is not a chat completion") from None
    if body.get("object") != "chat.completion" or not content or reason != "stop":
        raise StepFailed("the completion is empty or was not finished")
    return f"{tokens} tokens"


def _job_error(status: Json) -> str:
    error = status.get("error")
    if not isinstance(error, dict):
        return ""
    return f": {error.get('code')}: {error.get('message')}"
