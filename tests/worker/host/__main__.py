"""The process: prints `{"address", "control"}` as one JSON line when it is ready, runs until it is ended."""

import argparse
import asyncio
import json
import logging
import signal
import sys
import warnings
from pathlib import Path

from tests.worker.host.control import Control
from tests.worker.host.front import Front
from tests.worker.host.library import IndexingFailed, Library


def _warnings_are_errors() -> None:
    warnings.simplefilter("error")
    # What libraries say about their own code and each other's is theirs to mend.
    for module in ("azure", "azurefunctions", "azure_functions_runtime", "fastapi", "starlette", "uvicorn"):
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")


async def serve(app_directory: Path, port: int) -> None:
    configuration = json.loads((app_directory / "host.json").read_text(encoding="utf-8"))
    prefix = configuration.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    library = Library()
    await library.start(app_directory)
    front = Front(library, prefix)
    control = Control(library, front)
    ready = {"address": await front.start(port), "control": await control.start()}
    print(json.dumps(ready), flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await front.close()
    await control.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.worker.host", description=__doc__)
    parser.add_argument("app", type=Path, help="the folder that holds function_app.py and host.json")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    arguments = parser.parse_args()
    _warnings_are_errors()
    # Azure's worker takes every record from INFO up, whatever the app needs of them.
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    try:
        asyncio.run(serve(arguments.app.resolve(), arguments.port))
    except IndexingFailed as failure:
        sys.exit(f"indexing failed: {failure}")


if __name__ == "__main__":
    main()
