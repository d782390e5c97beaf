"""Realtime: sessions that are opened through the proxy, and the relay of those that run over a WebSocket."""
