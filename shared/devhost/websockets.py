"""WebSockets of the local host: uvicorn's protocol, which writes no handshake to the log."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class RealtimeProtocol(WebSocketsSansIOProtocol):
    """Clients send keys in queries and subprotocols, so these lines go to a logger that the log keeps quiet."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = self.conn.logger = logging.getLogger("uvicorn.websockets")
        self.conn.debug = False
