"""Limits of file sizes and pixels, and the error for too large files."""

from bot.core.errors import FileTooLarge
from bot.core.limits import MAX_SIDE_PIXELS

MIB = 1024 * 1024
MAX_ATTACHMENT_BYTES = 20 * MIB
MAX_OUTPUT_BYTES = 32 * MIB
# Pillow warns only at 89 million pixels and refuses only at 179 million: up to 700 MB of memory from a file of 20 kB.
MAX_PIXELS = 25_000_000


def is_kept_size(width_pixels: int, height_pixels: int) -> bool:
    """Return whether the bot keeps a picture of this size."""
    return width_pixels * height_pixels <= MAX_PIXELS and max(width_pixels, height_pixels) <= MAX_SIDE_PIXELS


def build_too_large_error(max_bytes: int) -> FileTooLarge:
    """Return the error for a file of more than `max_bytes`."""
    size = f"{max_bytes // MIB} MB" if max_bytes >= MIB else f"{max_bytes} bytes"
    return FileTooLarge(f"That file is too large: at most {size}, please.")
