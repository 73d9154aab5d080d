"""Converts a typed line to an invocation; file options name files on this machine."""

import asyncio
import mimetypes
from collections.abc import Mapping
from pathlib import Path

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
