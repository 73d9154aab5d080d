"""The terminal as a platform: runs a command, asks its questions, prints the messages, and returns an exit code."""

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TextIO

from bot.core.errors import UserError
from bot.core.ids import new_id
from bot.core.people import Channel
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import Button, MessageRef, Reply, Tone
from bot.core.text import clean_for_terminal
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.confirmation import CONFIRM, CONFIRMATION_ACTIONS, DECLINE
from bot.dispatch.dispatcher import Dispatcher
from bot.media.media import FindPath
from bot.platforms.console.commands import CONSOLE_CHANNEL, CONSOLE_USER, NAME, build_invocation, read_line
from bot.platforms.console.messages import Printer, write_files, write_text


class ConsolePlatform:
    """Prints messages to `out` and errors to `err`, and writes made files to the path `output` if given.

    Answers to questions are lines of `answers`, a terminal; without such a stream a question ends the command.
    """

    name = NAME
    limits = MessageLimits(max_length=1_000_000)

    def __init__(
        self,
        out: TextIO,
        *,
        find_path: FindPath,
        output: Path | None = None,
        err: TextIO | None = None,
        answers: TextIO | None = None,
    ) -> None:
        self._printer = Printer(out)
        self._err = err or sys.stderr
        self._find_path = find_path
        self._output = output
        self._answers = answers
        self._shown: dict[str, Reply] = {}
        self._final_reply: asyncio.Future[Reply] | None = None

    async def run_once(self, line: str, dispatcher: Dispatcher) -> int:
        """Run a command to the end; return 0, or 1 after an error on `err`."""
        try:
            invocation = await build_invocation(line, dispatcher.services.menu)
            reply = await self._wait_for_reply(dispatcher.handle(invocation))
            while (button := await self._ask(reply)) is not None:
                reply = await self._wait_for_reply(dispatcher.handle_press(_create_press(button)))
            await self._finish(reply)
        except UserError as error:
            self._err.write(f"{clean_for_terminal(str(error))}\n")
            return 1
        return 0

    async def _wait_for_reply(self, answer: Awaitable[Reply | None]) -> Reply:
        """Return the direct reply of a command or a press, or else the last edit of the started job."""
        self._final_reply = asyncio.get_running_loop().create_future()
        reply = await answer
        return reply if reply is not None else await self._final_reply

    async def _ask(self, reply: Reply) -> Button | None:
        """Print a question and return the button of the typed answer; None for a reply without a question.

        The end of the answers is a "No".
        """
        # Other buttons are next steps after an answer; a form does not fit into a line.
        buttons = [button for button in reply.buttons if button.action in CONFIRMATION_ACTIONS]
        if self._answers is None or {button.action for button in buttons} != {CONFIRM, DECLINE}:
            return None
        self._printer.print_line(reply.text)
        choices = " · ".join(f"{n} {button.label}" for n, button in enumerate(buttons, 1))
        while True:
            self._printer.print_line(f"{choices} – type a number:")
            typed = await read_line(self._answers)
            if not typed:
                return buttons[-1]
            button = _find_button(buttons, typed)
            if button is not None:
                return button

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Print a message. A second call with the same nonce prints nothing."""
        channel = destination.channel
        if destination.nonce not in self._shown:
            self._show(destination.nonce, reply)
        return MessageRef(NAME, channel.workspace, channel.id, channel.thread, destination.nonce)

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        """Print the new part of a message. Raise `MessageLost` if this process did not print the message."""
        if message.id not in self._shown:
            raise MessageLost(f"no message {message.id} on this terminal")
        if self._shown[message.id] != reply:
            self._show(message.id, reply)

    async def delete(self, message: MessageRef) -> None:
        """Forget a message; printed lines stay."""
        self._shown.pop(message.id, None)

    def pacer(self, message: MessageRef) -> Pacer:
        return ConsolePacer()

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Return None: the process ends with the command, and reads no notices later."""
        return None

    def is_direct_channel(self, channel: Channel) -> bool:
        """Return false: a terminal has one channel."""
        return False

    async def is_private_thread(self, channel: Channel) -> bool:
        """Return false: a terminal has no threads."""
        return False

    def _show(self, message_id: str, reply: Reply) -> None:
        self._shown[message_id] = reply
        if reply.tone is Tone.WORKING:
            self._printer.show(reply)
        elif self._final_reply is not None and not self._final_reply.done():
            self._final_reply.set_result(reply)

    async def _finish(self, reply: Reply) -> None:
        """Print the final reply with files and facts. Raise `UserError` with the unprinted part of an error."""
        if reply.tone is Tone.ERROR:
            self._printer.end()
            raise UserError(self._printer.get_unprinted(reply.text))
        self._printer.show(reply)
        self._printer.end()
        made = reply.made_files
        if made and self._output is not None:
            for line in await asyncio.to_thread(write_files, made, self._output, self._find_path):
                self._printer.print_line(line)
        elif made:
            names = ", ".join(file.name for file in made)
            self._printer.print_line(f"Made {names}. Add --output NAME to keep it.")
        for file in reply.files:
            self._printer.print_line(await asyncio.to_thread(write_text, file, self._output))
        if reply.note:
            self._printer.print_line(reply.note)


def _find_button(buttons: Sequence[Button], typed: str) -> Button | None:
    """Return the button of a typed number or label."""
    names = enumerate(buttons, 1)
    return next((button for n, button in names if typed.strip().lower() in (str(n), button.label.lower())), None)


def _create_press(button: Button) -> ButtonPress:
    key = f"{NAME}:{new_id()}"
    return ButtonPress(CONSOLE_USER, CONSOLE_CHANNEL, button.action, button.job, button.n, key, message_id="")


class ConsolePacer:
    """Allows every edit at once: a terminal has no limit."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Return at once."""

    def close(self) -> None:
        """There is nothing to release."""
