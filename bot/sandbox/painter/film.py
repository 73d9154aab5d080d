"""Short films from the painter: a slow camera over one scene, from a given picture, or from one picture to another.

The file is WebM: Pillow's lossy WebP holds a VP8 key frame (RFC 9649, 2.5), which Matroska wraps (RFC 9559). Every
frame is a key frame: larger than a codec's file, and each moment can be sought.
"""

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bot.sandbox.input_files import open_picture

if TYPE_CHECKING:
    from PIL.Image import Image


FRAMES_PER_SECOND = 8
MAX_FILM_SECONDS = 20

_MAX_FRAME_PIXELS = 640 * 360
_MARGIN = 1.3
"""The scene is larger than a frame by this factor: room for the camera."""
_ZOOM = 0.12


@dataclass(frozen=True)
class FilmOrder:
    """`ratio` is width through height. `first` and `last` hold the bytes of pictures, or None."""

    prompt: str
    seed: int
    seconds: float
    ratio: float = 16 / 9
    first: bytes | None = None
    last: bytes | None = None


def shoot(order: FilmOrder) -> bytes:
    """Return a WebM film without sound; equal orders give equal bytes. Raise `UnreadablePicture`."""
    from PIL import Image

    size = _choose_size(order)
    begin = _open_scene(order, order.first, size)
    end = _open_scene(order, order.last, size) if order.last else None
    count = max(2, round(min(order.seconds, MAX_FILM_SECONDS) * FRAMES_PER_SECOND))
    frames = []
    for n in range(count):
        share = n / (count - 1)
        frame = _look(begin, size, share, order.seed)
        if end is not None:
            frame = Image.blend(frame, _look(end, size, 1 - share, order.seed), share)
        frames.append(encode_frame(frame))
    return mux_webm(frames, size, FRAMES_PER_SECOND)


def take_still(order: FilmOrder) -> bytes:
    """Return the first frame of a film, as PNG. Raise `UnreadablePicture`."""
    size, encoded = _choose_size(order), BytesIO()
    _look(_open_scene(order, order.first, size), size, 0, order.seed).save(encoded, "PNG")
    return encoded.getvalue()


def _choose_size(order: FilmOrder) -> tuple[int, int]:
    """Return width and height, even and small: a frame takes milliseconds."""
    ratio = order.ratio
    if order.first:
        picture = open_picture(order.first)
        ratio = min(3.0, max(1 / 3, picture.width / picture.height))
    height = (_MAX_FRAME_PIXELS / ratio) ** 0.5
    return round(height * ratio / 2) * 2, round(height / 2) * 2


def _open_scene(order: FilmOrder, picture: bytes | None, size: tuple[int, int]) -> "Image":
    from PIL import ImageOps

    from bot.sandbox.painter.composition import paint
    from bot.sandbox.painter.scene import read_scene

    large = (round(size[0] * _MARGIN), round(size[1] * _MARGIN))
    if picture is not None:
        return ImageOps.fit(open_picture(picture).convert("RGB"), large)
    return paint(read_scene(order.prompt, order.seed), large)


def _look(scene: "Image", size: tuple[int, int], share: float, seed: int) -> "Image":
    """Return the frame at a share of the way: the camera comes nearer and moves to one side, as the seed has it."""
    from PIL.Image import Resampling

    smooth = share * share * (3 - 2 * share)
    near = 1 - _ZOOM * smooth
    width, height = scene.width * near, scene.height * near
    across = smooth if seed % 2 else 1 - smooth
    left, top = (scene.width - width) * across, (scene.height - height) * 0.5
    return scene.resize(size, Resampling.BILINEAR, box=(left, top, left + width, top + height))


# The file.

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
