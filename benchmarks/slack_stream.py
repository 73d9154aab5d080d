"""Measure streaming to Slack: from a model's token to readable text on the emulator, 100 ms round trip.

    python -m benchmarks.slack_stream [--runs 5] [CASE ...]

The whole bot runs on the real slack-bolt over Socket Mode and SQLite. A script speaks for the model, so the time of
each token is known. A token is readable once Slack has the token, half a round trip after the request. The baseline
`helper` is slack-sdk's `chat_stream` with the default buffer, on the same tokens.
"""

import argparse
import asyncio
import itertools
import logging
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from benchmarks.speech import (
    CALL,
    FIRST_TOKEN_SECONDS,
    Speech,
    SpeechBackend,
    SpeechMeasurement,
    SpeechRun,
    compute_percentile,
    make_code,
    make_prose,
    measure_speech,
)
from bot.cli.run import freeze_startup_objects
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.people import SlackPerson
from tests.platforms.slack.dialogue import run_command
from tests.platforms.slack.office import Office, create_office, create_options

ROUND_TRIP_SECONDS = 0.1
PATIENCE_SECONDS = 90.0
LENGTHS = (400, 411, 422, 433, 389)
"""Lengths near 400 tokens: the ends spread over the gap between two appends, and the last wait depends on that gap."""
HURRY = 40
COMMANDS, COMMANDS_PER_SECOND = 500, 50
METHODS = ("startStream", "appendStream", "stopStream", "postMessage", "update")


def make_even_speech(tokens: int) -> Speech:
    """Numbered words of five characters each, 50 a second: the helper's buffer counts characters."""
    return Speech(tuple(f"t{n:03} " for n in range(tokens)), 50)


@dataclass(frozen=True)
class SlackAnswer:
    """One measured answer: the readings, the final parts, and the seconds of writing to each part."""

    seen: SpeechMeasurement
    parts: tuple[str, ...]
    lifetime_seconds: tuple[float, ...]


@dataclass
class SlackStreamBench:
    """The Slack test workspace with a scripted speaker for a model and people in separate threads."""

    office: Office
    speaker: SpeechBackend
    people: list[SlackPerson]
    acknowledged: list[float] = field(default_factory=list)
    in_flight: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    async def ask(self, speech: Speech, person: SlackPerson) -> SlackAnswer:
        """Mention the bot, and read up to the last word."""
        office = self.office
        question = f"question {next(self._numbers)}?"
        telling, asked_at = self.speaker.arrange(question, speech), office.slack.clock.now()
        said = await person.say(f"{office.team.mention} {question}", office.general)
        thread = office.general.get_thread(said)
        await thread.wait_for_bot_message(
            condition=lambda one: "Delete" in one.button_labels, timeout_seconds=PATIENCE_SECONDS
        )
        return read_answer(telling, asked_at, thread.bot_messages)

    async def ask_with_call(self, before: Speech, after: Speech, person: SlackPerson) -> list[SlackAnswer]:
        """Mention the bot, and read the answer that ends with a call, and the answer after the picture."""
        office, question = self.office, f"question {next(self._numbers)}?"
        await run_command(office.otto, "/settings chat --tools on", office.general)
        asked_at = office.slack.clock.now()
        first, second = self.speaker.arrange(question, before), self.speaker.arrange("[Result of the tool]", after)
        thread = office.general.get_thread(await person.say(f"{office.team.mention} {question}", office.general))
        ending = await thread.wait_for_bot_message(
            condition=lambda one: second.ended_at and "Regenerate" in one.button_labels and one.files == [],
            after=await thread.wait_for_bot_message(condition=lambda one: one.files, timeout_seconds=PATIENCE_SECONDS),
            timeout_seconds=PATIENCE_SECONDS,
        )
        return [read_answer(first, asked_at, thread.bot_messages[:1]), read_answer(second, asked_at, [ending])]

    async def ask_at_once(self, speech: Speech, count: int) -> list[SlackAnswer]:
        return list(await asyncio.gather(*(self.ask(speech, person) for person in self.people[:count])))


def read_answer(telling: SpeechRun, asked_at: float, messages: Sequence[SlackMessageState]) -> SlackAnswer:
    versions = [[(version.at, version.text) for version in message.versions] for message in messages]
    return SlackAnswer(
        measure_speech(telling, asked_at, versions),
        tuple(message.stream.text if message.stream else message.visible_text for message in messages),
        tuple(each[-1][0] - each[0][0] for each in versions),
    )


@asynccontextmanager
async def open_slack_stream_bench(now: Callable[[], float] = time.monotonic) -> AsyncIterator[SlackStreamBench]:
    """Run each repetition on a fresh emulator, which must report no violation."""
    with tempfile.TemporaryDirectory() as folder:
        far = create_options(round_trip_seconds=ROUND_TRIP_SECONDS)
        office = await create_office(Path(folder), options=far, daily_credits=10**6, monthly_budget_usd=10**6)
        speaker = SpeechBackend(office.clock, now)
        office.backend = speaker  # type: ignore[assignment]  # another kind of backend
        people = [office.team.add_person(f"Person{n}") for n in range(20)]
        await office.open()
        try:
            yield SlackStreamBench(office, speaker, people)
            await office.slack.wait_until_idle()
            if office.slack.violations:
                raise RuntimeError(f"{office.slack.violations}")
        finally:
            await office.close()
            await office.slack.stop()


# The cases: each returns the answers of one run.

Case = Callable[[SlackStreamBench, int], Awaitable[list[SlackAnswer]]]


async def measure_alone(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    return [await on.ask(make_even_speech(LENGTHS[run % len(LENGTHS)]), on.people[0])]


async def measure_four(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    return await on.ask_at_once(make_even_speech(LENGTHS[run % len(LENGTHS)]), 4)


async def measure_ten(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    return await on.ask_at_once(make_even_speech(LENGTHS[run % len(LENGTHS)]), 10)


async def measure_long_code(on: SlackStreamBench, _: int) -> list[SlackAnswer]:
    return [await on.ask(make_code(3450, 170), on.people[0])]


async def measure_old_messages(on: SlackStreamBench, _: int) -> list[SlackAnswer]:
    """Advance both clocks faster than words arrive, so that the stream reaches Slack's age limit."""

    async def hurry() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.02)
            now = time.monotonic()
            on.office.advance_time((now - before) * (HURRY - 1))
            before = now

    hurrying = asyncio.create_task(hurry())
    answer = await on.ask(make_prose(400, 50), on.people[0])
    hurrying.cancel()
    await asyncio.gather(hurrying, return_exceptions=True)
    return [answer]


async def measure_commands(on: SlackStreamBench, _: int) -> list[SlackAnswer]:
    """Measure slash commands of twenty people while ten answers stream."""
    answers = asyncio.create_task(on.ask_at_once(make_even_speech(600), 10))
    await asyncio.sleep(1.0)
    lines, began = itertools.cycle(["/help", "/usage", "/jobs", "/models"]), time.monotonic()
    deliveries = []
    for n in range(COMMANDS):
        await asyncio.sleep(began + n / COMMANDS_PER_SECOND - time.monotonic())
        person = on.people[n % len(on.people)]
        deliveries.append(await person.use_command(next(lines), "", on.office.general))
    on.in_flight = on.office.app.runner.running_count
    on.acknowledged = [
        (await one.wait_for_acknowledgement(PATIENCE_SECONDS)).acknowledgement_seconds - ROUND_TRIP_SECONDS
        for one in deliveries
    ]
    return await answers


async def measure_helper(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    return [await ask_helper(on, on.people[0], make_even_speech(LENGTHS[run % len(LENGTHS)]))]


async def measure_four_helpers(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    speech = make_even_speech(LENGTHS[run % len(LENGTHS)])
    return list(await asyncio.gather(*(ask_helper(on, person, speech) for person in on.people[:4])))


async def ask_helper(on: SlackStreamBench, person: SlackPerson, speech: Speech) -> SlackAnswer:
    """Stream one answer by `chat_stream`, used as in slack-sdk's documentation. An error ends the answer there."""
    office = on.office
    client = AsyncWebClient(token=office.team.bot_token, base_url=office.slack.api_url)
    client.proxy = None  # slack-sdk uses the environment's proxy, for loopback too
    root = office.general.add_message(
        SlackMessageState(office.general, office.slack.clock.next_timestamp(), person.id, "question")
    )
    telling, tokens = SpeechRun(speech, asked_at=time.monotonic()), asyncio.Queue[str]()
    speaking = asyncio.create_task(append_tokens(telling, tokens))
    stream = await client.chat_stream(
        channel=office.general.id, thread_ts=root.ts, recipient_team_id=office.team.id, recipient_user_id=person.id
    )
    try:
        while token := await tokens.get():
            await stream.append(markdown_text=token)
        await stream.stop()
    except SlackApiError as error:
        print(f"  chat_stream broke off: {error.response['error']}")
    await speaking
    return read_answer(telling, telling.asked_at, office.general.list_replies(root.ts))


async def append_tokens(telling: SpeechRun, tokens: asyncio.Queue[str]) -> None:
    """Yield the tokens at the planned times, then an empty token."""
    await asyncio.sleep(FIRST_TOKEN_SECONDS)
    begins = time.monotonic()
    for n, token in enumerate(telling.speech.tokens):
        await asyncio.sleep(begins + n / telling.speech.per_second - time.monotonic())
        telling.token_times.append(time.monotonic())
        tokens.put_nowait(token)
    tokens.put_nowait("")


async def measure_before_call(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    return (await measure_call(on, run))[:1]


async def measure_after_call(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    return (await measure_call(on, run))[1:]


async def measure_call(on: SlackStreamBench, run: int) -> list[SlackAnswer]:
    speech = make_even_speech(LENGTHS[run % len(LENGTHS)])
    return await on.ask_with_call(replace(speech, call=CALL), speech, on.people[0])


CASES: dict[str, tuple[str, Case]] = {
    "alone": ("1 conversation, some 400 tokens at 50/s", measure_alone),
    "four": ("4 at once, some 400 tokens at 50/s", measure_four),
    "ten": ("10 at once, some 400 tokens at 50/s", measure_ten),
    "code": ("a block of code of 20,000 characters, 170 tokens a second", measure_long_code),
    "old": (f"an answer of over five minutes, the clocks {HURRY} times as fast", measure_old_messages),
    "tool": ("some 400 tokens at 50/s, then a call of 13 pieces", measure_before_call),
    "result": ("some 400 tokens at 50/s, after the call and its picture", measure_after_call),
    "commands": (f"{COMMANDS_PER_SECOND} commands a second beside 10 answers", measure_commands),
    "helper": ("baseline: chat_stream, 1 conversation, some 400 tokens at 50/s", measure_helper),
    "helpers": ("baseline: chat_stream, 4 at once, some 400 tokens at 50/s", measure_four_helpers),
}


@dataclass
class Report:
    """The readings of all runs of one case. `is_timed` is true if a single clock measured all times."""

    is_timed: bool = True
    runs: list[list[SlackAnswer]] = field(default_factory=list)
    acknowledged: list[list[float]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    too_many: int = 0

    def add(self, answers: list[SlackAnswer], on: SlackStreamBench) -> None:
        slack = on.office.slack
        counts = [f"{len(slack.find_calls(f'chat.{method}'))} {method}" for method in METHODS]
        refused = [f"{call.method} {call.error}" for call in slack.calls if call.error]
        self.runs.append(answers)
        self.calls.append(f"{', '.join(counts)}; refused: {', '.join(refused) or 'nothing'}")
        self.too_many += len(slack.rate_limited_calls)
        if on.acknowledged:
            self.acknowledged.append(on.acknowledged)

    def print(self) -> None:
        """Print medians over the runs, and the worst value."""
        everything = [answer for run in self.runs for answer in run]
        if self.is_timed:
            self._print_times(everything)
        lost, said = (
            sum(one.seen.lost_tokens for one in everything),
            sum(len(one.seen.delay_seconds) for one in everything),
        )
        order = "" if all(one.seen.is_in_order for one in everything) else ", NOT IN ORDER"
        print(f"  tokens                    {lost} of {said} lost{order}")
        first = everything[0]
        sizes = [(len(part.encode()), part.count("```")) for part in first.parts]
        print(
            f"  parts (bytes, fences)     {sizes}, written to for {[round(life) for life in first.lifetime_seconds]} s"
        )
        if self.acknowledged:
            p50, p99, worst = (
                statistics.median(each) for each in zip(*map(compute_percentiles, self.acknowledged), strict=True)
            )
            print(f"  acknowledged              p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms")
        print(f"  calls of the last run     {self.calls[-1]}; 429s in all: {self.too_many}", flush=True)

    def _print_times(self, everything: Sequence[SlackAnswer]) -> None:
        for name, spans in {
            "asked → model asked": [answer.seen.asked_after_seconds for answer in everything],
            "first token → first text": [answer.seen.first_seconds for answer in everything],
            "longest gap": [answer.seen.longest_gap_seconds for answer in everything],
            "last token → final text": [answer.seen.last_seconds for answer in everything],
        }.items():
            print(f"  {name:25} median {statistics.median(spans):.2f} s, worst {max(spans):.2f} s")
        p50, p99 = (self._delay(percent) for percent in (50, 99))
        print(f"  {'token → visible':25} p50 {p50:.2f} s, p99 {p99:.2f} s")

    def _delay(self, percent: int) -> float:
        return statistics.median(
            compute_percentile([delay for answer in run for delay in answer.seen.delay_seconds], percent)
            for run in self.runs
        )


def compute_percentiles(seconds: Iterable[float]) -> tuple[float, float, float]:
    """Format milliseconds without the round trip."""
    values = [value * 1000 for value in seconds]
    return compute_percentile(values, 50), compute_percentile(values, 99), max(values)


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all without")
    parser.add_argument("--runs", type=int, default=len(LENGTHS))
    given = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)  # answers beyond max_tokens overrun the holds
    freeze_startup_objects()
    for name in given.cases or CASES:
        (title, case), report = CASES[name], Report(is_timed=name != "old")
        for run in range(given.runs):
            async with open_slack_stream_bench() as on:
                report.add(await case(on, run), on)
        print(f"{title}; {given.runs} runs, load {os.getloadavg()[0]:.1f}")
        report.print()


if __name__ == "__main__":
    asyncio.run(main())
