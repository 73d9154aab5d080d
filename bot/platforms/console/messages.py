"""Prints a changing message on a terminal, which cannot take printed lines back."""

from typing import TextIO

from bot.core.replies import STAGE_TEXTS, Progress, Reply
from bot.core.text import clean_for_terminal

_ERASE_LINE = "\r\x1b[2K"  # to the first column; erase the line (ECMA-48, EL 2)


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
