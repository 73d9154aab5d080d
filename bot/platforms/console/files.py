"""Writes made files and text files of a reply to the path of `--output`, pictures with their recipe."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from bot.core.errors import UserError
from bot.core.file_types import FILE_TYPES, find_kind
from bot.core.replies import MadeFile, Picture, ResultFile, TextFile
from bot.core.time_format import format_length
from bot.media.media import FindPath
from bot.media.recipes import load_with_recipe

_OTHER_SUFFIXES = {"image/jpeg": (".jpeg",), "audio/mp4": (".mp4",), "audio/ogg": (".opus",), "audio/webm": (".webm",)}
_NAMES = {"image/webp": "WebP", "image/jpeg": "JPEG"}


def write_files(files: Sequence[MadeFile], output: Path, find_path: FindPath) -> list[str]:
    """Write the files of a result, several with numbers in the names, and return a line of text per file. Blocks.

    Raise `UserError` if a file is not kept any more, or cannot be written.
    """
    targets = [output]
    if len(files) > 1:
        targets = [output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(1, len(files) + 1)]
    return [_write(file, target, find_path) for file, target in zip(files, targets, strict=True)]


def write_text(file: TextFile, output: Path | None) -> str:
    """Write a text file and return a line of text about the file; without `output` return the file's text. Blocks."""
    if output is None:
        return file.text.rstrip()
    try:
        output.write_text(file.text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"I cannot write {output}: {error.strerror}.") from error
    return f"→ {output} ({_format_size(output.stat().st_size)})"


def _write(file: MadeFile, target: Path, find_path: FindPath) -> str:
    source = find_path(file.sha256)
    if source is None:
        raise UserError(f"The {find_kind(file.mime).noun} is not kept any more.")
    try:
        if isinstance(file, Picture) and file.recipe:
            target.write_bytes(load_with_recipe(source, file.recipe))
        else:
            shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"I cannot write {target}: {error.strerror}.") from error
    facts = [f"{file.width}×{file.height}"] if file.width else []
    if isinstance(file, ResultFile) and file.duration_seconds:
        facts.append(format_length(file.duration_seconds))
    facts.append(_format_size(target.stat().st_size))
    return f"→ {target} ({', '.join(facts)}){_describe_mismatch(file, target)}"


def _format_size(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 1_000_000 else f"{max(1, round(size_bytes / 1000))} kB"


def _describe_mismatch(file: MadeFile, target: Path) -> str:
    # The model chooses the format: report a wrong suffix instead of converting, which would lose quality.
    extension = FILE_TYPES[file.mime].extension if file.mime in FILE_TYPES else ""
    if not extension or target.suffix.lower() in (f".{extension}", *_OTHER_SUFFIXES.get(file.mime, ())):
        return ""
    advice = "; --format chooses another" if isinstance(file, Picture) else ""
    return f" — a {_NAMES.get(file.mime, extension.upper())} file, whatever its name says{advice}"
