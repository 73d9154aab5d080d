"""Pictures into files: the kept bytes as they are, under the names that were asked for."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.core.errors import UserError
from bot.core.replies import Picture, TextFile

PathOf = Callable[[str], Path | None]

_SUFFIXES = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
}
_KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP", "image/gif": "GIF"}


def write_pictures(pictures: Sequence[Picture], output: Path, path_of: PathOf) -> list[str]:
    """Write each picture and give a line for each; several are numbered. Blocks. Raises `UserError`."""
    targets = [output]
    if len(pictures) > 1:
        targets = [output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(1, len(pictures) + 1)]
    return [_write(picture, target, path_of) for picture, target in zip(pictures, targets, strict=True)]


def write_text(file: TextFile, output: Path | None) -> str:
    """Write a file of words, and give a line for it; without a place to put it, the words themselves. Blocks."""
    if output is None:
        return file.text.rstrip()
    try:
        output.write_text(file.text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"I cannot write {output}: {error.strerror}.") from error
    return f"→ {output} ({_format_size(output.stat().st_size)})"


def _write(picture: Picture, target: Path, path_of: PathOf) -> str:
    kept = path_of(picture.sha256)
    if kept is None:
        raise UserError("The picture is not kept any more.")
    try:
        shutil.copyfile(kept, target)
    except OSError as error:
        raise UserError(f"I cannot write {target}: {error.strerror}.") from error
    size = f"{picture.width}×{picture.height}, " if picture.width else ""
    return f"→ {target} ({size}{_format_size(target.stat().st_size)}){_describe_mismatch(picture, target)}"


def _format_size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"


def _describe_mismatch(picture: Picture, target: Path) -> str:
    suffixes = _SUFFIXES.get(picture.mime, ())
    if not suffixes or target.suffix.lower() in suffixes:
        return ""
    return f" — a {_KINDS[picture.mime]} file, whatever its name says; --format chooses another"
