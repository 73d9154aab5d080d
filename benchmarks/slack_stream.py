"""Answers that stream into Slack's threads: how soon people read, and what Slack is asked for it.

    python -m benchmarks.slack_stream [--only one,four,ten,long,old,acks,helper]

The whole bot on the real slack-bolt, over Socket Mode, against the local Slack of the tests, a hundred milliseconds
away; the model is a script that speaks at known times. A text counts as visible when Slack has it, half a round trip
after it was sent. Baseline in the same run: slack-sdk's own `chat_stream` with its default buffer, on the same tokens.
"""

import argparse
import asyncio
import itertools
import logging
import os
import re
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.clock import Clock
from bot.platforms.slack.messages import MESSAGE_BYTES
from tests.emulators.slack.clock import SlackClock
from tests.emulators.slack.messages import Message
from tests.emulators.slack.people import Person
from tests.emulators.slack.workspace import Thread
from tests.fakes.backend import Run
from tests.platforms.slack.office import Office, furnished, options
from tests.platforms.slack.pausing import PausingBackend

ROUND_TRIP = 0.1
TOKENS = tuple(f"w{n:03}{'. ' if n % 20 == 19 else ' '}" for n in range(400))
"""Each can be told from all others; every twentieth ends a sentence."""
TOKENS_PER_SECOND = 50.0
THINKS_SECONDS = 0.5
"""How long the model is silent before its first token."""
RUNS = 5
COMMANDS_PER_SECOND = 50
COMMANDS = 500
PATIENCE = 120.0


class SpeakingBackend(PausingBackend):
    """Speaks at a pace; `said` has when each token of each run came, by Slack's clock."""

    def __init__(self, clock: Clock, slack: SlackClock, per_second: float = TOKENS_PER_SECOND) -> None:
        super().__init__(clock)
        self.said: dict[str, list[float]] = {}
        self._slack = slack
        self._per_second = per_second
        self._begun: dict[str, float] = {}

    async def _hang(self, run: Run, words: int) -> None:
        now = asyncio.get_running_loop().time
        if words == 0:
            self.said[run.id] = []
            await asyncio.sleep(THINKS_SECONDS)
            self._begun[run.id] = now()
        if words < len(run.script.words):
            await asyncio.sleep(self._begun[run.id] + words / self._per_second - now())
            self.said[run.id].append(self._slack.now())

    def said_to(self, question: str) -> list[float]:
        """When the answer to that question was said, token by token."""
        run = next(run for run in self.runs.values() if question in str(run.inputs))
        return self.said[run.id]


@dataclass(frozen=True)
class Seen:
    """How one answer was seen; spans in seconds."""

    asked: float
    """From the question to the first text, without the model's silence."""
    first: float
    gap: float
    """The largest between two texts."""
    final: float
    delays: list[float]
    """From each token to the moment it was visible."""


# The bot's answers.


@asynccontextmanager
async def office(per_second: float = TOKENS_PER_SECOND, words: Sequence[str] = TOKENS) -> AsyncIterator[Office]:
    """The bot in a workspace; at the end nothing may have happened that Slack does not allow."""
    with tempfile.TemporaryDirectory() as folder:
        place = await furnished(
            Path(folder), options=options(round_trip=ROUND_TRIP), daily_credits=10**9, monthly_budget_usd=10**6
        )
        place.backend = SpeakingBackend(place.clock, place.slack.clock, per_second)
        place.backend.will(words=tuple(words))
        await place.open()
        try:
            yield place
            await place.slack.quiet()
        finally:
            await place.close()
            await place.slack.stop()
    if place.slack.violations:
        raise SystemExit("\n".join(place.slack.violations))


async def ask(place: Office, person: Person, question: str) -> tuple[Thread, Seen]:
    """Mention the bot, and read on until its last word."""
    asked_at = place.slack.clock.now()
    message = await person.say(f"{place.team.mention} {question}", place.general)
    thread = place.general.thread(message)
    await thread.bot_says(holds=lambda one: "Delete" in one.buttons, patience=PATIENCE)
    assert isinstance(place.backend, SpeakingBackend)  # noqa: S101 - `office` put it there
    return thread, seen(thread.of_bot, place.backend.said_to(question), asked_at)


def seen(messages: Sequence[Message], said: Sequence[float], asked_at: float) -> Seen:
    """What somebody saw who looked at these messages all the time."""
    versions = sorted((version for message in messages for version in message.versions), key=lambda one: one.at)
    moments: list[float] = []
    seen_at: list[float] = []
    for version in versions:
        newest = max((int(n) + 1 for n in re.findall(r"\bw(\d{3})[. ]", version.text)), default=0)
        if newest > len(seen_at):
            seen_at += [version.at] * (newest - len(seen_at))
            moments.append(version.at)
    delays = [at - was for at, was in zip(seen_at, said, strict=True)]
    return Seen(
        asked=moments[0] - asked_at - THINKS_SECONDS,
        first=delays[0],
        gap=max(after - before for before, after in pairwise(moments)),
        final=versions[-1].at - said[-1],
        delays=delays,
    )


async def measure_one() -> None:
    """One person, again and again, each in a thread of their own."""
    answers = []
    async with office() as place:
        for n in range(RUNS):
            answers.append((await ask(place, place.ana, f"Question {n}?"))[1])
            place.pass_time(60)  # the budgets are as at the beginning
        told = summed_up(answers)
        print(f"one at a time, {RUNS} × 400 tokens: {told}; {len(place.slack.too_many)} × 429")


async def measure_many(count: int) -> None:
    """So many people at once, each in a thread of their own."""
    async with office() as place:
        people = [place.team.user(f"Person{n}") for n in range(count)]
        answers = await asyncio.gather(*(ask(place, one, f"Question of {one.name}?") for one in people))
        told = summed_up([answer for _, answer in answers])
        calls = len(place.slack.calls_of("chat.appendStream"))
        print(f"{count} at once: {told}; {calls} appends, {len(place.slack.too_many)} × 429")


def summed_up(answers: Sequence[Seen]) -> str:
    delays = statistics.quantiles([delay for answer in answers for delay in answer.delays], n=100)
    figures = {
        "asked → first text": [one.asked for one in answers],
        "first token → first text": [one.first for one in answers],
        "largest gap": [one.gap for one in answers],
        "last token → final": [one.final for one in answers],
    }
    told = [f"{name} {statistics.median(spans):.2f} s, worst {max(spans):.2f}" for name, spans in figures.items()]
    return "; ".join([*told, f"token → visible p50 {delays[49]:.2f}, p99 {delays[98]:.2f}"])


# Answers of unusual length.

LONG_CHARACTERS = 20_000


def long_text() -> str:
    """Prose and long code in turns, of so many characters; each line is unlike the others."""
    text = ""
    while len(text) < LONG_CHARACTERS:
        n = len(text)
        prose = " ".join(f"This is sentence {n + m} of the answer." for m in range(20))
        code = "\n".join(f"value_{n + m} = measure({n + m})" for m in range(120))
        text += f"{prose}\n\n```python\n{code}\n```\n\n"
    return text[:LONG_CHARACTERS]


async def measure_long() -> None:
    """Twenty thousand characters, a hundred tokens of twenty characters a second."""
    text = long_text()
    tokens = [text[at : at + 20] for at in range(0, len(text), 20)]
    async with office(per_second=100, words=tokens) as place:
        message = await place.ana.say(f"{place.team.mention} Tell me all.", place.general)
        thread = place.general.thread(message)
        await thread.bot_says(holds=lambda one: "Delete" in one.buttons, patience=PATIENCE)
        parts = [streamed(one) for one in thread.of_bot]
    lost = lines_of(text) - lines_of("".join(parts))
    sizes = ", ".join(str(len(part.encode())) for part in parts)
    broken = sum(part.count("```") % 2 for part in parts)
    reopened = sum(part.startswith("```python\n") for part in parts)
    print(f"long: {len(text)} characters in parts of {sizes} bytes (at most {MESSAGE_BYTES}); {len(lost)} lines lost;")
    print(f"    {reopened} parts go on with code, {broken} leave a fence open; {calls_of(place)}")


def lines_of(text: str) -> set[str]:
    return set(re.findall(r"value_\d+ = measure\(\d+\)|This is sentence \d+ of the answer\.", text))


def streamed(message: Message) -> str:
    """An answer's part, without what stands under it."""
    if message.stream and not message.edited_at:
        return message.stream.text
    return "".join(str(block.get("text", "")) for block in message.blocks if block["type"] == "markdown")


async def measure_old() -> None:
    """An answer that takes longer than a stream lives, with both clocks going forty times as fast."""
    async with office() as place:
        clock = asyncio.create_task(_hurry(place, by=40))
        thread, answer = await ask(place, place.ana, "What takes so long?")
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
        ages = [one.versions[-1].at - one.versions[0].at for one in thread.of_bot]
        lives = ", ".join(f"{age:.0f}" for age in ages)
        shown = f"{len(answer.delays)} of {len(TOKENS)} tokens shown"
        print(f"old: {shown} in streams of {lives} s; {calls_of(place)}")


async def _hurry(place: Office, by: float) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        await asyncio.sleep(0.02)
        now = loop.time()
        place.pass_time((now - before) * (by - 1))
        before = now


def calls_of(place: Office) -> str:
    methods = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage", "chat.update")
    counts = [f"{len(place.slack.calls_of(method))} {method.removeprefix('chat.')}" for method in methods]
    refused = [f"{call.method} {call.error}" for call in place.slack.calls if call.error]
    return f"{', '.join(counts)}; {len(place.slack.too_many)} × 429; refused: {refused or 'nothing'}"


# Acknowledgements.


async def measure_acknowledgements() -> None:
    """Fifty slash commands a second, while ten answers stream."""
    async with office(words=TOKENS * 2) as place:
        people = [place.team.user(f"Person{n}") for n in range(20)]
        for one in people[:10]:
            await one.say(f"{place.team.mention} Question of {one.name}?", place.general)
        await asyncio.sleep(1.5)
        lines = itertools.cycle(["/help", "/usage", "/jobs", "/models"])
        loop = asyncio.get_running_loop()
        began, deliveries = loop.time(), []
        for n in range(COMMANDS):
            await asyncio.sleep(began + n / COMMANDS_PER_SECOND - loop.time())
            deliveries.append(await people[n % 20].slash(next(lines), "", place.general))
        in_flight = place.app.runner.running
        seconds = [(await one.acked(PATIENCE)).seconds - ROUND_TRIP for one in deliveries]
        await place.app.runner.drain(PATIENCE)
        cuts = statistics.quantiles(seconds, n=100)
        told = f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms"
        print(f"acknowledged, {COMMANDS_PER_SECOND} commands/s beside {in_flight} jobs, round trip taken off: {told}")


# slack-sdk's own helper.


async def measure_helper(count: int) -> None:
    """`chat_stream` as its documentation shows it, with the same tokens at the same pace."""
    async with office() as place:
        people = [place.team.user(f"Person{n}") for n in range(count)]
        answers = await asyncio.gather(*(_helped(place, one) for one in people))
        lost = sum(answer is None for answer in answers)
        told = summed_up([answer for answer in answers if answer is not None])
        print(f"baseline chat_stream, {count} at once: {told}; {lost} broke off; {len(place.slack.too_many)} × 429")


async def _helped(place: Office, person: Person) -> Seen | None:
    """One answer; None where an error ended it."""
    client = AsyncWebClient(token=place.team.bot_token, base_url=place.slack.api_url)
    client.proxy = None  # it takes the environment's, and asks nobody about loopback
    root = Message(place.general, place.slack.clock.stamp(), person.id, "hello")
    place.general.add(root)
    asked_at, spoken = place.slack.clock.now(), asyncio.Queue[str]()
    said: list[float] = []
    speaking = asyncio.create_task(_speak(place.slack.clock, spoken, said))
    stream = await client.chat_stream(
        channel=place.general.id, thread_ts=root.ts, recipient_team_id=place.team.id, recipient_user_id=person.id
    )
    try:
        while token := await spoken.get():
            await stream.append(markdown_text=token)
        await stream.stop()
    except SlackApiError:
        return None
    finally:
        await speaking
    return seen(place.general.replies(root.ts), said, asked_at)


async def _speak(clock: SlackClock, spoken: asyncio.Queue[str], said: list[float]) -> None:
    """The model: it says its tokens at their times, and then an empty one."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(THINKS_SECONDS)
    began = loop.time()
    for n, token in enumerate(TOKENS):
        await asyncio.sleep(began + n / TOKENS_PER_SECOND - loop.time())
        said.append(clock.now())
        spoken.put_nowait(token)
    spoken.put_nowait("")


MEASURES: dict[str, Callable[[], Awaitable[None]]] = {
    "one": measure_one,
    "four": partial(measure_many, 4),
    "ten": partial(measure_many, 10),
    "long": measure_long,
    "old": measure_old,
    "acks": measure_acknowledgements,
    "helper": partial(measure_helper, 1),
    "helpers": partial(measure_helper, 4),
}


async def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(MEASURES), help="which, with commas between")
    for name in parser.parse_args().only.split(","):
        await MEASURES[name]()
    print(f"load of the machine now: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
