"""A typed line as an invocation; file options name files on this machine."""

import asyncio
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from bot.core.errors import UserError
from bot.core.ids import new_id
from bot.core.invocations import Attachment, Invocation
from bot.core.people import Channel, User
from bot.dispatch.declaration import OptionKind
from bot.dispatch.parser import Call, Menu, find, parse

NAME = "console"
ME = User(platform=NAME, workspace=NAME, id="me", name="you", is_administrator=True)
HERE = Channel(platform=NAME, workspace=NAME, id="terminal")


async def invocation_of(line: str, menu: Menu) -> Invocation:
    """What was asked; words without a slash go to /chat. Raises `UserError` for what cannot be read, files included."""
    call = parse(line if line.lstrip().startswith("/") else f"/chat {line}", menu)
    files = _named_files(call, menu)
    return Invocation(
        user=ME,
        channel=HERE,
        command=call.command,
        request_key=f"{NAME}:{new_id()}",
        options={name: value for name, value in call.options.items() if name not in files},
        attachments={name: await _attached(file) for name, file in files.items()},
    )


def _named_files(call: Call, menu: Menu) -> Mapping[str, str]:
    """The file options that name no link, by option name."""
    options = find(menu, call.command).declaration.options
    names = {option.name for option in options if option.kind is OptionKind.FILE}
    given = {name: str(value) for name, value in call.options.items() if name in names}
    return {name: value for name, value in given.items() if "://" not in value}


async def _attached(name: str) -> Attachment:
    path = Path(name)
    size = await asyncio.to_thread(_size, path)
    if size is None:
        raise UserError(f"There is no file called {name} here.")

    async def read() -> bytes:
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise UserError(f"I cannot read {name}: {error.strerror}.") from error

    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Attachment(name=path.name, mime=mime, size=size, read=read)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
