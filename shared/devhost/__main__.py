"""`python -m shared.devhost`: starts everything on this machine and prints how to use it."""

import argparse
import os
import socket
import sys

from shared.errors import SettingError

DEFAULT_PORT = 7071


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shared.devhost", description="Serve the app on this machine."
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="the port (7071; 0 picks a free one)")
    parser.add_argument("--quiet", action="store_true", help="print the address only")
    arguments = parser.parse_args()
    os.environ.setdefault("LLMPROXY_MODE", "local")
    listener = _listen(arguments.host, arguments.port)
    if listener is None:
        print(f"port {arguments.port} is taken; choose another with PORT=", file=sys.stderr)
        return 1
    try:
        import function_app
    except SettingError as error:
        listener.close()
        print(error, file=sys.stderr)
        return 2

    from shared.devhost.server import serve

    return serve(function_app.app, function_app.services, listener, quiet=arguments.quiet)


def _listen(host: str, port: int) -> socket.socket | None:
    """A bound socket, taken before anything heavy is loaded, so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        return None
    return listener


if __name__ == "__main__":
    sys.exit(main())
