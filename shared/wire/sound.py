"""How long a recording is, read from the head of its file: WAV, FLAC and MP3. Pure: bytes in, answers out."""

from dataclasses import dataclass

HEAD_BYTES = 64 * 1024
"""How much of a file is enough."""
BYTES_PER_SECOND = 16_000
"""The stated rule for every other format: 128 kbit/s."""

_BITRATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Layer III, in kbit/s, by index: MPEG-1 (ISO/IEC 11172-3), then MPEG-2 and 2.5 (13818-3)."""
_MAGIC = (
    (b"OggS", 0, "Ogg"),
    (b"ftyp", 4, "MP4"),
    (b"\x1aE\xdf\xa3", 0, "WebM"),
)


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording. `exact` says that its length was read, not estimated by its size."""

    format: str
    seconds: float
    exact: bool


def sound_of(head: bytes, size: int) -> Sound:
    """A file by its first bytes and its size in bytes."""
    found = _wav(head, size) or _flac(head) or _mp3(head, size)
    if found is not None:
        return found
    names = [name for magic, at, name in _MAGIC if head[at : at + len(magic)] == magic]
    return Sound(names[0] if names else "unknown", size / BYTES_PER_SECOND, exact=False)


def _wav(head: bytes, size: int) -> Sound | None:
    """RIFF chunks up to `data`, whose size a recording that was still running leaves open."""
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt ":
            rate = int.from_bytes(head[at + 16 : at + 20], "little")
        elif name == b"data":
            rest = max(0, size - at - 8)
            return Sound("WAV", min(length, rest) / rate, exact=True) if rate else None
        at += 8 + length + length % 2
    return None


def _flac(head: bytes) -> Sound | None:
    """STREAMINFO, always the first block: 20 bits of rate, 36 of samples."""
    if head[:4] != b"fLaC" or len(head) < 26:
        return None
    packed = int.from_bytes(head[18:26], "big")
    rate, samples = packed >> 44, packed & 0xFFFFFFFFF
    return Sound("FLAC", samples / rate, exact=True) if rate and samples else None


def _mp3(head: bytes, size: int) -> Sound | None:
    """By the bitrate of the first frame, which is that of all where it does not vary."""
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        length = 0
        for byte in head[6:10]:
            length = length << 7 | byte & 0x7F
        start = 10 + length
    frame = head[start : start + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0 or frame[1] >> 1 & 3 != 1:
        return None
    version, index = frame[1] >> 3 & 3, frame[2] >> 4
    if version == 1 or not 0 < index < 15:
        return None
    return Sound("MP3", (size - start) / (_BITRATES[version == 3][index] * 125), exact=True)
