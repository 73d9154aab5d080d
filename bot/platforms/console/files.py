"""Writes pictures and text files of a reply to the path of `--output`, with the kept bytes unchanged."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from bot.core.errors import UserError
from bot.core.replies import Picture, TextFile
from bot.media.media import FindPath

_SUFFIXES = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
}
_KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP", "image/gif": "GIF"}


def write_pictures(pictures: Sequence[Picture], output: Path, find_path: FindPath) -> list[str]:
    """Write the pictures, several with numbers in the names, and return a line of text per picture. Blocks.

    Raise `UserError` if a picture is not kept any more, or if a file cannot be written.
    """
    targets = [output]
    if len(pictures) > 1:
        targets = [output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(1, len(pictures) + 1)]
    return [_write(picture, target, find_path) for picture, target in zip(pictures, targets, strict=True)]


def write_text(file: TextFile, output: Path | None) -> str:
    """Write a text file and return a line of text about the file; without `output` return the file's text. Blocks."""
    if output is None:
        return file.text.rstrip()
    try:
        output.write_text(file.text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"I cannot write {output}: {error.strerror}.") from error
    return f"→ {output} ({_format_size(output.stat().st_size)})"


def _write(picture: Picture, target: Path, find_path: FindPath) -> str:
    source = find_path(picture.sha256)
    if source is None:
        raise UserError("The picture is not kept any more.")
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"I cannot write {target}: {error.strerror}.") from error
    size = f"{picture.width}×{picture.height}, " if picture.width else ""
    return f"→ {target} ({size}{_format_size(target.stat().st_size)}){_describe_mismatch(picture, target)}"


def _format_size(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 1_000_000 else f"{max(1, round(size_bytes / 1000))} kB"


def _describe_mismatch(picture: Picture, target: Path) -> str:
    # The model chooses the format: report a wrong suffix instead of converting, which would lose quality.
    suffixes = _SUFFIXES.get(picture.mime, ())
    if not suffixes or target.suffix.lower() in suffixes:
        return ""
    return f" — a {_KINDS[picture.mime]} file, whatever its name says; --format chooses another"
