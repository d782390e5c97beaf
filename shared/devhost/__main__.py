"""`python -m shared.devhost`: starts everything on this machine and prints how to use it."""

import argparse
import errno
import os
import socket
import sys

from shared.errors import SecretsUnavailable, SettingError

DEFAULT_PORT = 7071


def main() -> int:
    """Serves until it is asked to stop. Returns the exit status: 1 without an address, 2 for a wrong setting."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.devhost", description="Serve the app on this machine."
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="the port (7071; 0 picks a free one)"
    )
    parser.add_argument("--quiet", action="store_true", help="print the address only")
    arguments = parser.parse_args()
    os.environ.setdefault("LLMPROXY_MODE", "local")
    try:
        listener = listen(arguments.host, arguments.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            print(f"port {arguments.port} is taken; choose another with PORT=", file=sys.stderr)
        else:
            print(
                f"cannot listen on {arguments.host}, port {arguments.port}: {error.strerror}", file=sys.stderr
            )
        return 1
    try:
        import function_app
    except (SettingError, SecretsUnavailable) as error:
        listener.close()
        print(error, file=sys.stderr)
        return 2

    from shared.devhost.server import serve

    return serve(function_app.app, function_app.services, listener, quiet=arguments.quiet)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, made before anything heavy is loaded, so that a taken port is said at once.

    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Two that are only bound can share a port.
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # While it was still starting: there is nothing yet to be put away.
        sys.exit(0)
