"""Compression of the gateway's stream, for clients that ask for it."""

import importlib
import zlib
from collections.abc import Callable
from typing import Any

Compressor = Callable[[str], bytes]


class UnsupportedCompression(ValueError):
    """Neither zlib-stream nor, where its library is here, zstd-stream."""


def create_compressor(kind: str) -> Compressor:
    """A compressor of one connection: each text goes through the same stream, and is flushed."""
    if kind == "zlib-stream":
        return _zlib()
    if kind == "zstd-stream":
        return _zstd()
    raise UnsupportedCompression(kind)


def _zlib() -> Compressor:
    stream = zlib.compressobj()
    return lambda text: stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)


def _zstd() -> Compressor:
    """Only a client that has a zstd library asks for this; here it may be missing all the same."""
    try:
        library: Any = importlib.import_module("zstandard")
    except ImportError as error:
        raise UnsupportedCompression("zstd-stream needs the package zstandard") from error
    stream = library.ZstdCompressor().compressobj()
    return lambda text: bytes(stream.compress(text.encode()) + stream.flush(library.COMPRESSOBJ_FLUSH_BLOCK))
