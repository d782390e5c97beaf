"""Multipart bodies as tests write them: every byte is theirs."""

from collections.abc import Sequence

BOUNDARY = "a-boundary-of-the-tests"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def field(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def file(content: bytes, filename: str = "speech.wav", name: str = "file", type: str = "audio/wav") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: {type}\r\n\r\n'
    return head.encode() + content


def multipart(parts: Sequence[bytes]) -> bytes:
    mark = b"--" + BOUNDARY.encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
