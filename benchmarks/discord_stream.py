"""Measure streaming to Discord: from a model's token to readable text on the emulator, 80 ms round trip.

    python -m benchmarks.discord_stream [--runs 5] [CASE ...]

The whole bot runs on the real discord.py and SQLite. A script speaks for the model, so the time of each token is
known. A token is readable once a version of a message with the token is on the server, half a round trip after the
request.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from pathlib import Path

from benchmarks.speech import (
    CALL,
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
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordChannelState
from tests.platforms.discord.town import Town, is_done

ROUND_TRIP_SECONDS = 0.08
STAGGER_SECONDS = 0.37
PATIENCE_SECONDS = 60.0
LENGTHS = (300, 311, 322, 333, 289)
"""Lengths near 300 tokens: the ends spread over the gap between two edits, and the last wait depends on that gap."""
ROLLING_LENGTHS = (258, 262, 270, 280, 300)
"""Words of seven characters with the space: from the word after which the message is full to forty words later."""
WAYS = ("mention", "chat")


@dataclass(frozen=True)
class DiscordAnswer:
    """One measured answer: the readings, the final parts, and whether the text reports the failure."""

    seen: SpeechMeasurement
    parts: tuple[str, ...]
    write_count: int
    is_failure_shown: bool


@dataclass
class DiscordStreamBench:
    """The Discord test server with a scripted speaker for a model and people in separate channels."""

    town: Town
    speaker: SpeechBackend
    people: list[tuple[DiscordPerson, DiscordChannelState]]

    def __post_init__(self) -> None:
        self._numbers = count(1)

    async def ask(self, way: str, speech: Speech, person: DiscordPerson, channel: DiscordChannelState) -> DiscordAnswer:
        """Ask, and read up to the last word."""
        emulator = self.town.emulator
        question = f"question {next(self._numbers)}?"
        telling, asked_at = self.speaker.arrange(question, speech), emulator.clock.now()
        parts = await (self._mention if way == "mention" else self._chat)(person, channel, question)
        await emulator.wait_for(lambda: is_done(parts()[-1]) and parts(), "the last word", PATIENCE_SECONDS)
        await self.town.wait_until_idle()  # the message before the last may be shortened after the last word
        return _read(telling, asked_at, parts())

    async def ask_with_call(
        self, way: str, speeches: tuple[Speech, Speech], person: DiscordPerson, channel: DiscordChannelState
    ) -> list[DiscordAnswer]:
        """Ask, and read the answer that ends with a call, and the answer after the picture."""
        await self.town.set("tools", True)
        emulator, question = self.town.emulator, f"question {next(self._numbers)}?"
        before, asked_at = self.speaker.arrange(question, speeches[0]), emulator.clock.now()
        after = self.speaker.arrange("[Result of the tool]", speeches[1])
        parts = await (self._mention if way == "mention" else self._chat)(person, channel, question)

        def find_ending() -> DiscordMessageState | None:
            thread = next((one for one in emulator.state.channels.values() if one.is_thread and one.messages), None)
            return thread.last_message if thread and after.ended_at and is_done(thread.last_message) else None

        ending = await emulator.wait_for(find_ending, "the second answer", PATIENCE_SECONDS)
        return [_read(before, asked_at, parts()[:1]), _read(after, asked_at, [ending])]

    async def _mention(
        self, person: DiscordPerson, channel: DiscordChannelState, question: str
    ) -> Callable[[], list[DiscordMessageState]]:
        said = await person.say(f"{self.town.emulator.bot.mention} {question}", channel)
        thread = await self.town.emulator.wait_for(
            lambda: said.thread if said.thread and said.thread.messages else None, "a thread", PATIENCE_SECONDS
        )
        return lambda: thread.messages

    async def _chat(
        self, person: DiscordPerson, channel: DiscordChannelState, question: str
    ) -> Callable[[], list[DiscordMessageState]]:
        asked = await person.use_command("chat", {"message": question}, channel=channel)
        await asked.wait_for_message(PATIENCE_SECONDS)
        return lambda: asked.replies

    async def ask_at_once(
        self, way: str, speech: Speech, askers: Sequence[tuple[DiscordPerson, DiscordChannelState]]
    ) -> list[DiscordAnswer]:
        """Let several people ask, a moment apart."""

        async def one(n: int, person: DiscordPerson, channel: DiscordChannelState) -> DiscordAnswer:
            await asyncio.sleep(n * STAGGER_SECONDS)
            return await self.ask(way, speech, person, channel)

        return list(await asyncio.gather(*(one(n, *asker) for n, asker in enumerate(askers))))


def _read(telling: SpeechRun, asked_at: float, messages: Sequence[DiscordMessageState]) -> DiscordAnswer:
    return DiscordAnswer(
        measure_speech(
            telling, asked_at, [[(version.at, version.text) for version in one.versions] for one in messages]
        ),
        tuple(message.text for message in messages),
        sum(len(message.versions) for message in messages),
        "⚠" in messages[-1].text and "Try again" in messages[-1].button_labels,
    )


@asynccontextmanager
async def open_discord_stream_bench() -> AsyncIterator[DiscordStreamBench]:
    """Run each repetition on a fresh emulator, which must report no violation and no 429."""
    with tempfile.TemporaryDirectory() as folder:
        async with DiscordEmulator(latency_seconds=ROUND_TRIP_SECONDS) as emulator:
            town = Town(Path(folder), emulator, {"daily_credits": Decimal(10**6), "monthly_budget_usd": Decimal(10**6)})
            speaker = SpeechBackend(town.clock, emulator.clock.now)
            town.backend = speaker
            people = [(town.guild.add_member(f"Person {n}"), town.guild.add_channel(f"channel-{n}")) for n in range(5)]
            await town.open()
            await town.wait_until_ready()
            try:
                yield DiscordStreamBench(town, speaker, people)
                await town.wait_until_idle()
                if emulator.violations or emulator.redundant_edits:
                    raise RuntimeError(f"{emulator.violations}, {len(emulator.redundant_edits)} useless edits")
            finally:
                await town.app.close()


# The cases: each returns the answers of one run.

Case = Callable[[DiscordStreamBench, str, int], Awaitable[list[DiscordAnswer]]]


async def measure_alone(on: DiscordStreamBench, way: str, run: int) -> list[DiscordAnswer]:
    return [await on.ask(way, make_prose(LENGTHS[run % len(LENGTHS)], 50), *on.people[0])]


async def measure_rolling_over(on: DiscordStreamBench, way: str, run: int) -> list[DiscordAnswer]:
    # 300 words of six characters: the end of the text moves to a second message shortly before the last word.
    return [await on.ask(way, make_prose(ROLLING_LENGTHS[run % len(ROLLING_LENGTHS)], 50, digits=5), *on.people[0])]


async def measure_five_channels(on: DiscordStreamBench, way: str, _: int) -> list[DiscordAnswer]:
    return await on.ask_at_once(way, make_prose(400, 40), on.people)


async def measure_one_channel(on: DiscordStreamBench, way: str, run: int) -> list[DiscordAnswer]:
    channel = on.people[0][1]
    askers = [(person, channel) for person, _ in on.people[:4]]
    return await on.ask_at_once(way, make_prose(LENGTHS[run % len(LENGTHS)], 50), askers)


async def measure_long_code(on: DiscordStreamBench, way: str, _: int) -> list[DiscordAnswer]:
    return [await on.ask(way, make_code(1200, 150), *on.people[0])]


async def measure_failure(on: DiscordStreamBench, way: str, _: int) -> list[DiscordAnswer]:
    return [await on.ask(way, make_prose(300, 50, fails_after=150), *on.people[0])]


async def measure_call(on: DiscordStreamBench, way: str, run: int) -> list[DiscordAnswer]:
    length = LENGTHS[run % len(LENGTHS)]
    speeches = replace(make_prose(length, 50), call=CALL), make_prose(length, 50)
    return await on.ask_with_call(way, speeches, *on.people[0])


CASES: dict[str, tuple[str, Case]] = {
    "alone": ("1 conversation, some 300 tokens at 50/s", measure_alone),
    "rolls": ("1 conversation, some 270 words of 6 characters at 50/s, whose end rolls over", measure_rolling_over),
    "five": ("5 in 5 channels, 0.37 s apart, 400 tokens at 40/s", measure_five_channels),
    "one": ("4 in one channel, 0.37 s apart, some 300 tokens at 50/s", measure_one_channel),
    "code": ("a block of code, 1200 tokens at 150/s", measure_long_code),
    "tool": ("some 300 tokens at 50/s, a call of 13 pieces, a picture, and some 300 tokens", measure_call),
    "cut": ("the model fails after 150 of 300 tokens", measure_failure),
}


def print_report(runs: Sequence[Sequence[DiscordAnswer]]) -> None:
    """Print medians over the runs, and the worst value."""

    def middle(figure: Callable[[Sequence[DiscordAnswer]], float]) -> float:
        return statistics.median(figure(run) for run in runs)

    def delays(run: Sequence[DiscordAnswer]) -> list[float]:
        return [delay for heard in run for delay in heard.seen.delay_seconds]

    everything = [heard for run in runs for heard in run]
    p50, p90, p99 = (middle(lambda run, p=p: compute_percentile(delays(run), p)) for p in (50, 90, 99))  # type: ignore[misc]  # p is bound
    print(f"  token → visible           p50 {p50:.2f} s, p90 {p90:.2f} s, p99 {p99:.2f} s")
    lasts = [heard.seen.last_seconds for heard in everything]
    print(f"  last token → final text   median {statistics.median(lasts):.3f} s, worst {max(lasts):.3f} s")
    gap = max(heard.seen.longest_gap_seconds for heard in everything)
    first = statistics.median(heard.seen.first_seconds for heard in everything)
    writes = statistics.median(heard.write_count for heard in everything)
    print(f"  first token → first words {first:.2f} s; longest gap {gap:.2f} s; {writes:.0f} writes")
    asked = statistics.median(heard.seen.asked_after_seconds for heard in everything)
    said = sum(len(heard.seen.delay_seconds) for heard in everything)
    lost, told = (
        sum(heard.seen.lost_tokens for heard in everything),
        sum(heard.is_failure_shown for heard in everything),
    )
    order = "" if all(heard.seen.is_in_order for heard in everything) else ", NOT IN ORDER"
    fences = [[part.count("```") for part in heard.parts] for heard in everything[:1]]
    print(f"  asked → model asked       {asked:.2f} s; {lost} of {said} tokens lost{order}; told of a failure: {told}")
    print(f"  parts, fences in each     {fences[0]}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all without")
    parser.add_argument("--runs", type=int, default=len(LENGTHS))
    given = parser.parse_args()
    freeze_startup_objects()
    for name in given.cases or CASES:
        title, case = CASES[name]
        for way in WAYS:
            runs = []
            for run in range(given.runs):
                async with open_discord_stream_bench() as on:
                    runs.append(await case(on, way, run))
            load = os.getloadavg()[0]
            print(f"{title}, by {'/' if way == 'chat' else ''}{way}; {given.runs} runs, load {load:.1f}")
            if name != "tool":
                print_report(runs)
                continue
            for n, part in enumerate(("before the call", "after the picture")):
                print(f" {part}")
                print_report([[run[n]] for run in runs])


if __name__ == "__main__":
    asyncio.run(main())
