"""How large files may be."""

from bot.core.errors import BadFile

MIB = 1024 * 1024
MAX_ATTACHMENT_BYTES = 20 * MIB
MAX_OUTPUT_BYTES = 32 * MIB
MAX_PIXELS = 25_000_000
"""Pillow itself warns only at 89 million and refuses at 179: 100 and 700 MB of memory from a file of 20 kB."""


def build_too_large_error(max_bytes: int) -> BadFile:
    """The sentence for a file of too many bytes."""
    size = f"{max_bytes // MIB} MB" if max_bytes >= MIB else f"{max_bytes} bytes"
    return BadFile(f"That file is too large: at most {size}, please.")
