"""A bot with the real Replicate client and a sandbox, for `/run`: people ask, fill forms, press and approve.

The catalogue file has a single model, so that every other model of the sandbox needs an approval.
"""

import itertools
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.catalogue.loading import BUILT_IN_PATH
from bot.core.invocations import Invocation
from bot.core.people import Channel, User
from bot.core.replies import Button, Reply
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import OptionValue
from bot.dispatch.forms import FormDraft
from bot.dispatch.parsing import parse_command
from bot.settings import Owner
from tests.bench import make_attachment
from tests.fakes.samples import ANA, CHANNEL
from tests.faults.bench import FaultBench, open_fault_bench

LISTED = "black-forest-labs/flux-schnell"
UPSCALER = "nightmareai/real-esrgan"
"""Of a person: billed by the second, with a version."""
PAINTER = "black-forest-labs/flux-2-klein-4b"
"""Official: billed by the picture, without a version."""


@dataclass
class RunBench:
    """The bot, with the reply of the last question, whose buttons `press` finds."""

    bench: FaultBench
    question: Reply | None = None
    _keys: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def say(self, line: str, *, by: User = ANA, channel: Channel = CHANNEL, **files: bytes) -> str:
        """Type a line; return the text of the direct reply, empty after the start of a job."""
        call = parse_command(line, self.bench.app.dispatcher.services.menu)
        attachments = {name: make_attachment(content) for name, content in files.items()}
        key = f"web:run{next(self._keys)}"
        invocation = Invocation(by, channel, call.command, key, call.options, attachments)
        return self._keep(await self.bench.app.dispatcher.handle(invocation))

    async def press(self, action: str, *, by: User = ANA, on: Reply | None = None, n: int = 0) -> str:
        """Press a button of the last question, or of another reply."""
        press = self._build_press(self._find_button(action, on, n), by)
        return self._keep(await self.bench.app.dispatcher.handle_press(press))

    async def open_form(self, *, by: User = ANA, n: int = 1) -> FormDraft:
        press = self._build_press(self._find_button("fill", None, n), by)
        form = await self.bench.app.dispatcher.open_form(press)
        assert isinstance(form, FormDraft), form
        return form

    async def submit(self, values: Mapping[str, OptionValue], *, by: User = ANA, n: int = 1, **files: bytes) -> str:
        press = self._build_press(self._find_button("fill", None, n), by)
        attachments = {name: make_attachment(content) for name, content in files.items()}
        return self._keep(await self.bench.app.dispatcher.submit_form(press, values, attachments))

    async def run_to_end(self) -> str:
        """Confirm the last question, and return the final text of the job."""
        assert await self.press("confirm") == ""
        await self.bench.wait_until_done()
        return self.bench.last.text

    async def approve(self, by: User, action: str = "approve") -> str:
        """Press a button of the last request that moderators got."""
        return await self.press(action, by=by, on=self.last_request)

    @property
    def last_request(self) -> Reply:
        messages = self.bench.platform.messages.values()
        return [m.history[0] for m in messages if "asks to run" in m.history[0].text][-1]

    @property
    def labels(self) -> list[str]:
        return [button.label for button in self.question.buttons] if self.question else []

    def _keep(self, reply: Reply | None) -> str:
        self.question = reply or self.question
        return reply.text if reply else ""

    def _find_button(self, action: str, on: Reply | None, n: int) -> Button:
        reply = on or self.question
        assert reply is not None
        return next(one for one in reply.buttons if one.action == action and (not n or one.n == n))

    def _build_press(self, button: Button, by: User) -> ButtonPress:
        return ButtonPress(by, CHANNEL, button.action, button.job, button.n, f"web:run{next(self._keys)}", "")


def write_short_catalogue(folder: Path) -> Path:
    """Write a catalogue of one model, so that every other model needs an approval; return the file."""
    path = folder / "models.toml"
    text = BUILT_IN_PATH.read_text(encoding="utf-8")
    entry = text[text.index("[flux-schnell]") : text.index("[flux-dev]")]
    path.write_text(re.sub(r"^finish = .*$", "", entry, flags=re.MULTILINE), encoding="utf-8")
    return path


@asynccontextmanager
async def open_run_bench(folder: Path) -> AsyncIterator[RunBench]:
    """Open the bot with a catalogue of one model; the person `owner` of the page owns the bot."""
    changes = {"catalogue_path": write_short_catalogue(folder), "admin_users": (Owner("web", "page", "owner"),)}
    async with open_fault_bench(folder, changes=changes) as bench:
        yield RunBench(bench)
