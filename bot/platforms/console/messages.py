"""Shows messages on a terminal: prints a changing message, which cannot be taken back, and writes files to `--output`.

Pictures are written with their recipe.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from bot.core.errors import UserError
from bot.core.file_types import FILE_TYPES, find_kind
from bot.core.replies import STAGE_TEXTS, MadeFile, Picture, Progress, Reply, ResultFile, TextFile
from bot.core.text import clean_for_terminal
from bot.core.time_format import format_length
from bot.media.media import FindPath
from bot.media.recipes import load_with_recipe

_ERASE_LINE = "\r\x1b[2K"  # to the first column; erase the line (ECMA-48, EL 2)

_OTHER_SUFFIXES = {"image/jpeg": (".jpeg",), "audio/mp4": (".mp4",), "audio/ogg": (".opus",), "audio/webm": (".webm",)}
_NAMES = {"image/webp": "WebP", "image/jpeg": "JPEG"}


class Printer:
    """Prints added words as they arrive, and each stage once; on a real terminal a progress line that changes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._text = ""
        self._stage = ""
        self._has_open_line = False
        self._has_progress_line = False

    def show(self, reply: Reply) -> None:
        """Print the difference between the terminal and a message, whose words may be a model's."""
        text = clean_for_terminal(reply.text)
        if text != self._text:
            self._print_words(text)
        # Once words stream, they are the progress: a progress line would break the text apart.
        elif reply.progress is not None and not self._text:
            self._print_progress(reply.progress)
        self._out.flush()

    def print_line(self, text: str) -> None:
        """Print a separate line, after the end of the current line."""
        self.end()
        self._out.write(f"{clean_for_terminal(text)}\n")
        self._out.flush()

    def end(self) -> None:
        """End the current line, and erase a progress line."""
        self._erase_progress()
        if self._has_open_line:
            self._out.write("\n")
            self._has_open_line = False
        self._out.flush()

    def get_unprinted(self, text: str) -> str:
        """Return the part of a text that is not on the terminal yet."""
        return clean_for_terminal(text).removeprefix(self._text).strip()

    def _print_words(self, text: str) -> None:
        self._erase_progress()
        # The text was replaced, not extended: start again on a new line.
        if not text.startswith(self._text):
            self.end()
            self._text = ""
        self._out.write(text[len(self._text) :])
        self._text = text
        self._has_open_line = not text.endswith("\n")

    def _print_progress(self, progress: Progress) -> None:
        stage = STAGE_TEXTS[progress.stage] + (f", place {progress.queue_position}" if progress.queue_position else "")
        if self._is_terminal:
            self._out.write(f"{_ERASE_LINE}{stage} {_format_numbers(progress)}".rstrip())
            self._has_progress_line = True
        # Into a pipe or file every edit would add a line: print each stage once.
        elif stage != self._stage:
            self._out.write(f"{stage} …\n")
        self._stage = stage

    def _erase_progress(self) -> None:
        if self._has_progress_line:
            self._out.write(_ERASE_LINE)
            self._has_progress_line = False


def _format_numbers(progress: Progress) -> str:
    percent = f"{progress.percent} % · " if progress.percent is not None else ""
    usual = f" of usually {progress.usual_seconds} s" if progress.usual_seconds else ""
    return f"{percent}{progress.elapsed_seconds} s{usual}"


def write_files(files: Sequence[MadeFile], output: Path, find_path: FindPath) -> list[str]:
    """Write the files of a result, several with numbers in the names, and return a line of text per file. Blocks.

    Raise `UserError` if a file is not kept any more, or cannot be written.
    """
    targets = [output]
    if len(files) > 1:
        targets = [output.with_name(f"{output.stem}-{n}{output.suffix}") for n in range(1, len(files) + 1)]
    return [_write_new_file(file, target, find_path) for file, target in zip(files, targets, strict=True)]


def write_text(file: TextFile, output: Path | None) -> str:
    """Write a text file and return a line of text about the file; without `output` return the file's text. Blocks."""
    if output is None:
        return file.text.rstrip()
    try:
        output.write_text(file.text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"I cannot write {output}: {error.strerror}.") from error
    return f"→ {output} ({_format_size(output.stat().st_size)})"


def _write_new_file(file: MadeFile, target: Path, find_path: FindPath) -> str:
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
