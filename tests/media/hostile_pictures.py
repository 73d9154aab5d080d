"""Pictures made to cost memory or time: each is small, and each was harmful to decoders before."""

import functools
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.media.pictures import encode_picture, make_exif, make_png_bomb, make_png_chunk

MAX_FILE_BYTES = 20 * 1024 * 1024


def make_long_png() -> bytes:
    """Return a PNG of 25,000,000 × 1 pixels in some kilobytes."""
    return make_png_bomb(25_000_000, 1)


@functools.cache  # one of eight at once comes twice
def make_turned_webp(mode: str = "RGB") -> bytes:
    """Return a WebP of 5000 × 5000 pixels with an orientation: turning needs copies of all pixels."""
    return encode_picture("WEBP", (5_000, 5_000), mode, exif=make_exif(orientation=6), method=0)


def make_turned_jpeg() -> bytes:
    """Return a progressive JPEG of 5000 × 5000 pixels with full colours and an orientation."""
    return encode_picture("JPEG", (5_000, 5_000), exif=make_exif(orientation=6), progressive=True, subsampling=0)


def make_turned_png(mode: str = "RGBA") -> bytes:
    return encode_picture("PNG", (5_000, 5_000), mode, exif=make_exif(orientation=6), compress_level=1)


def make_jpeg_of_scans(count: int = 12_000, size: tuple[int, int] = (2_000, 2_000)) -> bytes:
    """Return a progressive JPEG whose last scan is repeated."""
    data = encode_picture("JPEG", size, progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * (count - 1) + data[-2:]


def make_jpeg_of_segments() -> bytes:
    """Return a JPEG of five million empty comments."""
    data = encode_picture("JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * ((MAX_FILE_BYTES - len(data)) // 4) + data[2:]


def make_jpeg_of_stuffing() -> bytes:
    """Return a JPEG whose scan is one long row of escaped bytes."""
    data = encode_picture("JPEG")
    return data[:-2] + b"\xff\x00" * ((MAX_FILE_BYTES - len(data)) // 2) + data[-2:]


def make_png_of_chunks(count: int = 1_600_000) -> bytes:
    """Return a PNG with empty chunks in front of the pixels."""
    data = encode_picture("PNG")
    return data[:33] + make_png_chunk(b"zzZz", b"") * count + data[33:]


def make_gif_of_frames(count: int = 5_000) -> bytes:
    """Return an animation of equal frames of 30 × 30 pixels."""
    data = encode_picture("GIF", (30, 30))
    start = data.index(b"\x2c\x00\x00\x00\x00")
    return data[:start] + data[start:-1] * count + b";"


def make_gif_of_blocks() -> bytes:
    """Return a GIF with comments of one byte in front of the first frame."""
    data = encode_picture("GIF", (30, 30))
    start = data.index(b"\x2c\x00\x00\x00\x00")
    return data[:start] + b"\x21\xfe\x01x\x00" * 3_000_000 + data[start:]


def make_webp_of_frames(count: int = 5_000) -> bytes:
    """Return an animation of equal frames of 30 × 30 pixels."""
    frames = [Image.new("RGB", (30, 30), color) for color in ("red", "blue")]
    encoded = BytesIO()
    frames[0].save(encoded, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    data = encoded.getvalue()
    start = data.index(b"ANMF")
    end = start + 8 + struct.unpack_from("<I", data, start + 4)[0]
    body = data[8:start] + data[start:end] * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


def write_large_png(path: Path, side: int = 12_247) -> None:
    """Write a PNG of 150 megapixels in true colours, unpacked 450 MB, in parts."""
    packer, size_bytes = zlib.compressobj(1), 3 * side
    rows = b"".join(b"\x00" + bytes([n, 255 - n, 90]) * side for n in range(0, 256, 32))
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(make_png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)))
        for start in range(0, side, 8):
            if packed := packer.compress(rows[: min(8, side - start) * (1 + size_bytes)]):
                file.write(make_png_chunk(b"IDAT", packed))
        file.write(make_png_chunk(b"IDAT", packer.flush()) + make_png_chunk(b"IEND", b""))


def write_large_jpeg(path: Path, side: int = 12_247) -> None:
    """Write a JPEG of 150 megapixels."""
    with Image.linear_gradient("L").resize((side, side)) as picture:
        picture.save(path, "JPEG", quality=70)


LARGE_OUTPUTS = {
    "output: png of 150 megapixels": write_large_png,
    "output: jpeg of 150 megapixels": write_large_jpeg,
}
"""Each large picture of a model by name: writes a file."""

HOSTILE: dict[str, Callable[[], bytes]] = {
    "png 25,000,000 x 1": make_long_png,
    "webp turned": make_turned_webp,
    "webp turned, transparent": lambda: make_turned_webp("RGBA"),
    "jpeg turned, progressive": make_turned_jpeg,
    "png turned, transparent": make_turned_png,
    "jpeg of 12,000 scans": make_jpeg_of_scans,
    "jpeg of 34 scans, 25 megapixels": lambda: make_jpeg_of_scans(25, (5_000, 5_000)),
    "jpeg of 5 million segments": make_jpeg_of_segments,
    "jpeg of stuffed bytes": make_jpeg_of_stuffing,
    "png of 1.6 million chunks": make_png_of_chunks,
    "gif of 5,000 frames": make_gif_of_frames,
    "gif of 3 million blocks": make_gif_of_blocks,
    "webp of 5,000 frames": make_webp_of_frames,
}
"""Each hostile picture by name."""
