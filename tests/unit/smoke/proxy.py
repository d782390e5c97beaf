"""A server that answers as the proxy does, step by step, so that a test can make one step go wrong."""

from collections.abc import Callable

from shared import Json
from tests.upstreams.behaviours import Behaviour, Reply
from tests.upstreams.server import Received, Upstream

KEY = "llmp_0123456789abcdef_" + "s" * 43
JOBS = "/v1/async/chat/completions"

COMPLETION: Json = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "smoke-chat",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
HEALTH: Json = {"status": "healthy", "service": "llm-proxy", "version": "1.2.3"}


class ProxyServer(Upstream):
    """`states` are what a job's status says, one a look, the last one for ever.

    `instead` takes the place of the usual answer of a path for as long as it is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.states = ["processing", "completed"]
        self.instead: dict[str, Behaviour | Callable[[], Behaviour]] = {}

    def answer(self, request: Received) -> Behaviour:
        found = self.instead.get(request.path)
        if found is not None:
            return found() if callable(found) else found
        if request.path != "/health" and request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply({"error": {"code": "invalid_api_key", "message": "no"}}, 401)
        match request.method, request.path:
            case "GET", "/health":
                return Reply(HEALTH)
            case "GET", "/v1/models":
                return Reply({"object": "list", "data": [{"id": "smoke-chat", "object": "model"}]})
            case "POST", "/v1/chat/completions":
                return Reply(COMPLETION)
            case "POST", path if path == JOBS:
                return Reply({"execution_id": "job-1", "status": "queued"}, 202)
            case "GET", path if path == f"{JOBS}/job-1/status":
                return Reply({"execution_id": "job-1", "status": self._state()})
            case "GET", path if path == f"{JOBS}/job-1/result":
                return Reply(COMPLETION)
        return Reply({"error": {"code": "not_found", "message": "There is no such address."}}, 404)

    def _state(self) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]
