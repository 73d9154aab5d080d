"""Pictures for tests: good pictures, and hostile files."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

GPS_TAG, MAKE_TAG, ORIENTATION_TAG = 0x8825, 0x010F, 0x0112
SECRET = b"Secret Camera 3000"


def encode_picture(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> bytes:
    """Return a picture, red on the left and blue on the right."""
    picture = Image.new(mode, size, "red")
    picture.paste("blue", (size[0] // 2, 0, *size))
    encoded = BytesIO()
    picture.save(encoded, kind, **options)
    return encoded.getvalue()


def make_recipe_picture(settings: str = "Seed: 5", prompt: str = "a fox in the snow") -> bytes:
    """Return a PNG with the text of A1111."""
    info = PngInfo()
    info.add_text("parameters", f"{prompt}\nNegative prompt: blurry\nSteps: 20, {settings}")
    return encode_picture("PNG", pnginfo=info)


def make_16_bit_grey(size: tuple[int, int], grey: int, **options: Any) -> bytes:
    """Return a PNG of one grey, 0 to 65535."""
    encoded = BytesIO()
    Image.new("I;16", size, grey).save(encoded, "PNG", **options)
    return encoded.getvalue()


def make_exif(orientation: int = 1) -> Image.Exif:
    """Return EXIF with a camera's name, a place and an orientation."""
    facts = Image.Exif()
    facts[MAKE_TAG] = SECRET.decode()
    facts[ORIENTATION_TAG] = orientation
    facts.get_ifd(GPS_TAG)[1] = "N"
    facts.get_ifd(GPS_TAG)[2] = (52.0, 31.0, 12.0)
    return facts


def make_animated_gif() -> bytes:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "green", "blue")]
    encoded = BytesIO()
    frames[0].save(encoded, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return encoded.getvalue()


def make_animated_webp() -> bytes:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "green", "blue")]
    encoded = BytesIO()
    frames[0].save(encoded, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    return encoded.getvalue()


def make_png_bomb(width: int = 13_000, height: int = 13_000) -> bytes:
    """Return a black PNG; the default has 169 megapixels in about 20 kB."""
    row = b"\x00" + bytes(width // 8 + 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(row * height, 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + make_png_chunk(b"IHDR", header)
        + make_png_chunk(b"IDAT", pixels)
        + make_png_chunk(b"IEND", b"")
    )


def make_webp_header(kind: str, width: int, height: int) -> bytes:
    """Return a WebP that ends after the header, without pixels.

    The three kinds of first chunks are VP8X, VP8L and "VP8 ": developers.google.com/speed/webp/docs/riff_container.
    """
    content = {
        "VP8X": struct.pack("<I", 0x02) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        "VP8L": b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14),
        "VP8 ": b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height),
    }[kind]
    body = b"WEBP" + kind.encode() + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


def make_webp_bomb() -> bytes:
    """Return a WebP header whose canvas alone would take a gigabyte."""
    return make_webp_header("VP8X", 16_383, 16_383)


def make_png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def open_picture(data: bytes) -> Image.Image:
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture
