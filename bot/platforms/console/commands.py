"""Reads typed lines, and converts a line to an invocation; file options name files on this machine."""

import asyncio
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from bot.core.errors import UserError
from bot.core.ids import new_id
from bot.core.invocations import Attachment, Invocation
from bot.core.people import Channel, User
from bot.dispatch.declaration import OptionKind
from bot.dispatch.parsing import Menu, ParsedCommand, find_command, parse_command

NAME = "console"
# A person at this machine's terminal could read the database and the settings anyhow.
CONSOLE_USER = User(platform=NAME, workspace=NAME, id="me", name="you", is_administrator=True)
CONSOLE_CHANNEL = Channel(platform=NAME, workspace=NAME, id="terminal")


async def build_invocation(line: str, menu: Menu) -> Invocation:
    """Return the invocation of a line; words without a slash go to /chat.

    Raise `UserError` if the line cannot be parsed, or if a file does not exist.
    """
    call = parse_command(line if line.lstrip().startswith("/") else f"/chat {line}", menu)
    file_names = _find_file_options(call, menu)
    return Invocation(
        user=CONSOLE_USER,
        channel=CONSOLE_CHANNEL,
        command=call.command,
        request_key=f"{NAME}:{new_id()}",
        options={name: value for name, value in call.options.items() if name not in file_names},
        attachments={name: await _open_attachment(file_name) for name, file_name in file_names.items()},
    )


async def read_line(terminal: TextIO) -> str:
    """Return the next line that a person types; an empty text at the end."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(terminal, typed.set)
    except NotImplementedError:  # on Windows: there Ctrl-C waits for the line
        return await asyncio.to_thread(terminal.readline)
    try:
        # A thread would wait for the line even after Ctrl-C.
        await typed.wait()
    finally:
        loop.remove_reader(terminal)
    return terminal.readline()


def _find_file_options(call: ParsedCommand, menu: Menu) -> Mapping[str, str]:
    """Return the local file names by option name. A link stays an option: the media store fetches links."""
    options = find_command(menu, call.command).declaration.options
    names = {name for option in options if option.kind is OptionKind.FILE for name in option.file_names}
    values = {name: str(value) for name, value in call.options.items() if name in names}
    return {name: value for name, value in values.items() if "://" not in value}


async def _open_attachment(name: str) -> Attachment:
    path = Path(name)
    size = await asyncio.to_thread(_get_size, path)
    if size is None:
        raise UserError(f"There is no file called {name} here.")

    async def read() -> bytes:
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise UserError(f"I cannot read {name}: {error.strerror}.") from error

    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Attachment(name=path.name, mime=mime, size_bytes=size, read=read)


def _get_size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
