"""A WebM file of pictures: Pillow's lossy WebP holds a VP8 key frame (RFC 9649, 2.5), which Matroska wraps (RFC 9559).

Every frame is a key frame: larger than a codec's file, and each moment can be sought.
"""

import io
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_FRAMES_PER_CLUSTER = 32
_QUALITY = 60
_WRITER = b"Sandbox painter"

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_INFO, _TRACKS, _CUES, _CLUSTER = 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675
_MILLISECOND_NS = 1_000_000


def encode_frame(picture: "Image") -> bytes:
    """Return a picture as a VP8 key frame."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", quality=_QUALITY, method=0)
    return _extract_frame(buffer.getvalue())


def _extract_frame(webp: bytes) -> bytes:
    position = 12
    while position < len(webp):
        kind, size = webp[position : position + 4], int.from_bytes(webp[position + 4 : position + 8], "little")
        if kind == b"VP8 ":
            return webp[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    raise ValueError("no lossy WebP picture")


def mux_webm(frames: Sequence[bytes], size: tuple[int, int], frames_per_second: float) -> bytes:
    """Return the WebM file of VP8 key frames of one `size` (width, height), with an index for seeking."""
    moments = [round(1000 * n / frames_per_second) for n in range(len(frames))]
    starts = range(0, len(frames), _FRAMES_PER_CLUSTER)
    clusters = [
        _build_cluster(moments[start : start + _FRAMES_PER_CLUSTER], frames[start : start + _FRAMES_PER_CLUSTER])
        for start in starts
    ]
    head = _build_info(1000 * len(frames) / frames_per_second) + _build_tracks(size, frames_per_second)
    # The index has one length whatever the positions: their width is fixed.
    first_at = len(head) + len(_build_cues([0] * len(clusters), [0] * len(clusters)))
    positions = [first_at + sum(map(len, clusters[:n])) for n in range(len(clusters))]
    cues = _build_cues([moments[start] for start in starts], positions)
    return _build_header() + _element(_SEGMENT, head + cues + b"".join(clusters))


def _build_header() -> bytes:
    return _element(
        _EBML,
        b"".join(
            (
                *(_number(element, value) for element, value in ((0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8))),
                _element(0x4282, b"webm"),
                _number(0x4287, 2),
                _number(0x4285, 2),
            )
        ),
    )


def _build_info(duration_ms: float) -> bytes:
    return _element(
        _INFO,
        _number(0x2AD7B1, _MILLISECOND_NS)
        + _element(0x4489, struct.pack(">d", duration_ms))
        + _element(0x4D80, _WRITER)
        + _element(0x5741, _WRITER),
    )


def _build_tracks(size: tuple[int, int], frames_per_second: float) -> bytes:
    video = _element(0xE0, _number(0xB0, size[0]) + _number(0xBA, size[1]))
    entry = (
        _number(0xD7, 1)
        + _number(0x73C5, 1)
        + _number(0x9C, 0)
        + _number(0x83, 1)
        + _element(0x86, b"V_VP8")
        + _number(0x23E383, round(1e9 / frames_per_second))
        + video
    )
    return _element(_TRACKS, _element(0xAE, entry))


def _build_cues(moments: Iterable[int], positions: Iterable[int]) -> bytes:
    points = (
        _element(0xBB, _number(0xB3, at, 4) + _element(0xB7, _number(0xF7, 1) + _number(0xF1, position, 8)))
        for at, position in zip(moments, positions, strict=True)
    )
    return _element(_CUES, b"".join(points))


def _build_cluster(moments: Sequence[int], frames: Sequence[bytes]) -> bytes:
    blocks = (
        _element(0xA3, b"\x81" + struct.pack(">hB", at - moments[0], 0x80) + frame)
        for at, frame in zip(moments, frames, strict=True)
    )
    return _element(_CLUSTER, _number(0xE7, moments[0], 4) + b"".join(blocks))


def _element(element: int, content: bytes) -> bytes:
    """Return an EBML element: the id, the length in eight bytes, the content (RFC 8794)."""
    return (
        element.to_bytes((element.bit_length() + 7) // 8, "big") + struct.pack(">Q", 1 << 56 | len(content)) + content
    )


def _number(element: int, value: int, width: int = 0) -> bytes:
    return _element(element, value.to_bytes(width or max(1, (value.bit_length() + 7) // 8), "big"))
