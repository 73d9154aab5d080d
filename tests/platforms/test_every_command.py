"""Each command of the menu on Discord, in Slack and on the page, typed by the owner with the smallest valid input.

Each platform words an error in its own way: the dispatcher's replies are recorded, and the platform must show each.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from bot.commands import MENU
from bot.core import limits
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply, Tone
from bot.dispatch.declaration import Declaration, OptionValue
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.parsing import find_command
from tests.commands.command_examples import ANA, GOLD, OTTO, STUDIO, Options, get_example, make_required_files
from tests.fakes.backend import ScriptedBackend
from tests.platforms.discord.dialogue import DiscordStaff, run_command
from tests.platforms.discord.town import is_done, open_town
from tests.platforms.slack.dialogue import SlackStaff, reopen_with_owner
from tests.platforms.slack.dialogue import run_command as run_slack_command
from tests.platforms.slack.office import create_office
from tests.platforms.web.page_bench import PAGE_HEADERS
from tests.platforms.web.web_bot import Browser, open_web_bot

# slack_sdk 3.47 signs its exchange of codes with aiohttp's deprecated BasicAuth.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

TIMEOUT_SECONDS = 10.0
DECLARATIONS = [form.declaration for form in MENU]


@dataclass
class AnswerLog:
    """The dispatcher's answers: names of commands with their replies, oldest first."""

    answers: list[tuple[str, Reply | None]] = field(default_factory=list)

    async def wait_for_answer(self, count: int) -> None:
        """Wait until `count` commands were answered."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while len(self.answers) < count:  # noqa: ASYNC110 - the dispatcher notifies nobody
                await asyncio.sleep(0.005)

    def list_errors(self) -> list[str]:
        return [f"/{name}: {reply.text}" for name, reply in self.answers if reply and reply.tone is Tone.ERROR]

    def check_menu(self, *, refused: str = "") -> None:
        """Fail unless each command of the menu was answered, all but the `refused` one without an error."""
        assert [error for error in self.list_errors() if error.partition(":")[0] != refused] == []
        assert {name for name, _ in self.answers} == {declaration.name for declaration in DECLARATIONS}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> AnswerLog:
    log, handle = AnswerLog(), Dispatcher.handle

    async def handle_and_record(self: Dispatcher, invocation: Invocation) -> Reply | None:
        reply = await handle(self, invocation)
        log.answers.append((invocation.command, reply))
        return reply

    monkeypatch.setattr(Dispatcher, "handle", handle_and_record)
    return log


def list_steps(declaration: Declaration) -> list[tuple[Declaration, Options]]:
    """Return the commands of an example in order, the command itself last."""
    example = get_example(declaration)
    before = [*example.before, *([("imagine", {"prompt": "a hare"})] if example.needs_running_job else [])]
    steps = [*before, (declaration.name, example.options)]
    return [(find_command(MENU, name).declaration, options) for name, options in steps]


def script_next_runs(backend: ScriptedBackend, declaration: Declaration) -> None:
    backend.will(hangs_after=0 if get_example(declaration).needs_running_job else None)


def format_line(name: str, options: Options, names: Mapping[OptionValue, str]) -> str:
    """Return the command as a person types it, with `names` in place of the example's person, role and channel."""
    typed = [f"--{option}={format_value(names.get(value, value))}" for option, value in options.items()]
    return " ".join([f"/{name}", *typed])


def format_value(value: OptionValue) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text}"' if " " in text else text


async def test_discord_answers_each_command(tmp_path: Path, log: AnswerLog) -> None:
    async with open_town(tmp_path) as town:
        await run_command(town.ana, "help")  # a moderator finds Ana from here on
        staff, owner = DiscordStaff(town), town.owner_in_the_guild()
        staff.offer_everything()
        things: Mapping[OptionValue, object] = {ANA: town.ana, OTTO: owner, GOLD: staff.gold, STUDIO: staff.studio}

        for declaration in DECLARATIONS:
            script_next_runs(town.backend, declaration)
            for step, options in list_steps(declaration):
                await town.advance_time(3.0)  # Discord takes thirty private replies a minute in a channel
                values = {name: things.get(value, value) for name, value in options.items()}
                values |= make_required_files(step)
                count = len(log.answers)
                interaction = await owner.use_command(step.name, values, channel=town.general)
                await log.wait_for_answer(count + 1)
                if step.task is None:
                    assert (await interaction.wait_for_private_message()).text
                elif get_example(declaration).needs_running_job:
                    await town.wait_until_running(await interaction.wait_for_message())
                else:
                    await (await interaction.wait_for_message()).wait_until(is_done)
            await town.wait_until_idle()

    log.check_menu()


async def test_slack_answers_each_command(tmp_path: Path, log: AnswerLog) -> None:
    office = await create_office(tmp_path)
    office = await reopen_with_owner(await office.open(), office.otto)
    staff = SlackStaff(office)
    names: Mapping[OptionValue, str] = {
        ANA: office.ana.escaped_mention,
        OTTO: office.otto.escaped_mention,
        GOLD: staff.group,
        STUDIO: staff.studio_typed,
    }
    await run_slack_command(office.ana, "/help", office.general)  # a moderator finds Ana from here on

    for declaration in DECLARATIONS:
        script_next_runs(office.backend, declaration)
        for step, options in list_steps(declaration):
            await office.slack.wait_until_idle()
            office.advance_time(3.0)  # the bot posts a message a second in a channel, after a burst of four
            line = format_line(step.name, options, names)
            count = len(log.answers)
            if make_required_files(step):  # a slash command takes no files in Slack, a message does
                # A command of moderators needs the slash, behind a space: Slack would take the line for its own.
                typed = f" {line}" if step.rank > Rank.USER else line.removeprefix("/")
                await office.otto.say(typed, files=list(make_required_files(step).values()))
            elif step.task is None:
                assert (await run_slack_command(office.otto, line, office.general)).visible_text
            else:
                command, _, text = line.partition(" ")
                await office.otto.use_command(command, text, office.general)
                await office.general.wait_for_bot_message()
            await log.wait_for_answer(count + 1)
        await office.wait_until_idle()
    await office.close()
    await office.slack.stop()

    # A message with a file begins a thread of its own, and /undo looks into the channel.
    log.check_menu(refused="/undo")
    assert office.slack.violations == []


async def test_the_page_answers_each_command(tmp_path: Path, log: AnswerLog, monkeypatch: pytest.MonkeyPatch) -> None:
    # The menu has more commands than a person may write messages in a minute.
    monkeypatch.setattr(limits, "PAGE_MESSAGES_PER_MINUTE", 1_000)
    names: Mapping[OptionValue, str] = {ANA: "Ana", OTTO: "Otto", GOLD: "gold", STUDIO: "studio"}
    async with open_web_bot(tmp_path) as bot:
        await (await bot.invite("Ana")).ask("/help")  # a moderator finds Ana from here on
        owner = await bot.invite("Otto", Rank.OWNER)

        for declaration in DECLARATIONS:
            script_next_runs(bot.backend, declaration)
            for step, options in list_steps(declaration):
                line = format_line(step.name, options, names)
                count = len(log.answers)
                if make_required_files(step):
                    assert (await upload(owner, line, step))["tone"] != "error"
                elif step.task is not None and get_example(declaration).needs_running_job:
                    await owner.post("/api/say", {"text": line})
                else:
                    assert (await owner.ask(line))["tone"] != "error"
                await log.wait_for_answer(count + 1)

    log.check_menu()


async def upload(browser: Browser, line: str, declaration: Declaration) -> dict[str, object]:
    """Send a line with each required file, as the page's form does; return the result."""
    before = (await browser.messages() or [{"id": ""}])[-1]["id"]
    form = aiohttp.FormData()
    ask = {"channel": "main", "text": line, "request_id": uuid4().hex}
    form.add_field("ask", json.dumps(ask))
    for name, content in make_required_files(declaration).items():
        kinds = {b"\x89PNG": ("fox.png", "image/png"), b"PK\x03\x04": ("foxes.zip", "application/zip")}
        kind = kinds.get(content[:4], ("fox.wav", "audio/wav"))
        form.add_field(name, content, filename=kind[0], content_type=kind[1])
    async with browser.session.post(f"{browser.address}/api/say", data=form, headers=PAGE_HEADERS) as response:
        assert response.status == 200
    return await browser.wait_for_result(after=before)
