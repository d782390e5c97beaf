"""The local host, in a hurry: what a dead process held is free again while a test waits for it.

Its clock runs faster from the moment that `HURRIED_SINCE` names (seconds since 1970), the same for every process of a
test; the maintenance timer runs each second; and a reader of events that died is missed after two.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from functions import create_app
from shared.adapters.local_consumer import LocalConsumer
from shared.adapters.local_events import LocalEvents
from shared.adapters.sqlite import SqliteStore
from shared.bootstrap import build_services
from shared.devhost.__main__ import listen
from shared.devhost.host import FunctionHost
from shared.devhost.server import run
from shared.settings import Settings
from tests.crash.member import FastClock

SINCE = "HURRIED_SINCE"
LEASE = 2.0


class HurriedEvents(LocalEvents):
    def consumer(
        self,
        hub: str,
        consumers: str = "$Default",
        *,
        batch_size: int = 8,
        lease: float = LEASE,
        poll: float = 0.05,
    ) -> LocalConsumer:
        return super().consumer(hub, consumers, batch_size=batch_size, lease=lease, poll=poll)


def main() -> int:
    listener = listen("127.0.0.1", 0)
    directory = Path(os.environ["LLMPROXY_LOCAL_DIR"])
    clock = FastClock(float(os.environ[SINCE]))
    services = build_services(
        Settings(mode="local", local_dir=directory),
        clock=clock,
        store=SqliteStore(directory / "data.sqlite3", clock=clock),
        publisher=HurriedEvents(directory / "events.sqlite3"),
    )
    host = FunctionHost(create_app(services), services)
    host.timers = [
        replace(timer, schedule="* * * * * *") for timer in host.timers if timer.name == "maintenance"
    ]
    return run(host, services, listener, quiet=False)


if __name__ == "__main__":
    sys.exit(main())
