"""The local host whose hubs are read only while it is told to: jobs can be queued first, and run later.

    python -m benchmarks.job_host --port 9002

SIGUSR1 lets the workers begin, SIGUSR2 holds them back again. All else is as in `python -m shared.devhost`.
"""

import argparse
import asyncio
import os
import signal
import sys

from shared.devhost.__main__ import listen
from shared.devhost.host import FunctionHost


class HeldHost(FunctionHost):
    _released = False

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._release)
        loop.add_signal_handler(signal.SIGUSR2, self._hold)

    def read_hubs(self) -> None:
        if self._released:
            super().read_hubs()

    def _release(self) -> None:
        self._released = True
        self.read_hubs()

    def _hold(self) -> None:
        self._released = False
        self._holding = asyncio.create_task(self.leave_hubs())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job_host")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    os.environ.setdefault("LLMPROXY_MODE", "local")
    listener = listen("127.0.0.1", port)
    import function_app
    from shared.devhost.server import run

    host = HeldHost(function_app.app, function_app.services)
    return run(host, function_app.services, listener, quiet=True)


if __name__ == "__main__":
    sys.exit(main())
