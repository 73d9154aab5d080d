"""The soak: the whole bot as a process under all kinds of hostile input at once, beside people who draw and chat."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from bot.core.clock import SystemClock
from bot.core.replies import Reply
from bot.platforms.web.users import WebUsers
from bot.storage.database import Database
from bot.storage.web_page import PageMessage
from tests.chaos.hostile_load import HOSTILE_TEXTS, NICENESS, PLAIN_PICTURE
from tests.chaos.processes import ROOT, TOKEN, BotProcess, VerbProcess, sandbox
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.files import DiscordFileUpload, build_file_url
from tests.emulators.discord.messages import (
    COMPONENTS_V2,
    GALLERY,
    DiscordAttachmentState,
    DiscordMessageState,
    DiscordMessageVersion,
)
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.posting import DiscordMessageDraft, create_message
from tests.emulators.discord.state import DiscordChannelState, DiscordGuildState
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.state import SlackChannelState, SlackTeamState
from tests.media.hostile_pictures import HOSTILE
from tests.media.pictures import encode_picture
from tests.platforms.slack.office import OPTIONS

ROUND_TRIP_SECONDS = 0.1
WEB_TOKEN = "the owner's key of the soak"
PATIENCE_SECONDS = 60.0
STRANGERS = (
    *("gzip bombs", "forged webhooks", "forged Slack requests", "guesses of WEB_TOKEN", "requests that are not HTTP"),
    *("silent uploads and slow headers", "64 streams of large messages", "deep JSON"),
)
MEMBERS = (
    *("hostile pictures", "files of refused asks", "one seed again and again", "refused asks", "failing runs"),
    *("upscale too large", "exports", "hostile texts", "words before refused words"),
)
ALL_ATTACKS = (*MEMBERS, *STRANGERS, "Discord: galleries, words and pictures", "Slack: hostile words")
ATTACKERS = (
    *("pictures", "refused", "seeds", "asks", "failing", "upscale", "exports", "texts", "words", "json", "silent"),
)
DISCORD_PICTURES = ("png 25,000,000 x 1", "webp turned", "jpeg turned, progressive", "jpeg of 12,000 scans")
FIGURES = ("acknowledged", "first words", "picture")


@dataclass
class PersonFigures:
    """Seconds of one person's asks, each without the model's own time."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in FIGURES})
    asked: int = 0
    """Asks; each must end in an answer or a picture."""
    answered: int = 0

    def add(self, other: "PersonFigures") -> None:
        """Add the figures of another time."""
        for name, seconds in other.seconds.items():
            self.seconds[name] += seconds
        self.asked += other.asked
        self.answered += other.answered


@dataclass
class SoakReport:
    """The figures of a soak."""

    idle: dict[str, PersonFigures]
    """By the platform of the person."""
    under_fire: dict[str, PersonFigures]
    peak_megabytes: float
    """The bot's largest resident memory."""
    stalls: dict[str, int]
    """Stalls of the event loop under fire, by their upper bound in seconds."""
    own_stalls: dict[str, int]
    """The same, by the CPU seconds of the loop's own thread."""
    cpu_share: float
    outcomes: dict[str, Counter[str]]
    broken: list[str]
    violations: list[str]
    unnotified_jobs: int
    held_micros: int
    leaked_requests: list[str]
    """Requests that reached a server inside the bot's own network."""
    ledger_report: str
    is_ledger_right: bool
    load: float = field(default_factory=lambda: os.getloadavg()[0])


@dataclass
class SoakStage:
    """Discord, Slack, the sandbox and the bot, with the people on them."""

    folder: Path
    bot: BotProcess
    sandbox_url: str
    speed: float
    discord: DiscordEmulator
    guild: DiscordGuildState
    ana: DiscordPerson
    mallory: DiscordPerson
    slack: SlackEmulator
    team: SlackTeamState
    general: SlackChannelState
    eve: SlackPerson
    page: aiohttp.ClientSession
    """The owner's browser."""
    cookies: dict[str, str]
    pictures: tuple[str, ...]
    private_requests: list[str]
    private_url: str
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.bot.pid

    def note(self, attack: str, outcome: str) -> None:
        self.outcomes.setdefault(attack, Counter())[outcome] += 1


async def soak(folder: Path, *, idle_seconds: float, fire_seconds: float, speed: float, words: int) -> SoakReport:
    """Measure an idle bot before and after the same bot under fire; end with the ledger's verification.

    The attackers' machines are not the bot's: the bot has a core of its own where there are two, people and attackers
    share the others. Instead of the attackers, processes of the same low priority compute beside the idle bot.
    """
    cores_of_bot, other_cores = _divide_cores() if idle_seconds else (set[int](), set[int]())
    with _run_on(other_cores):
        return await _measure(folder, idle_seconds, fire_seconds, speed, words, cores_of_bot)


async def _measure(
    folder: Path, idle_seconds: float, fire_seconds: float, speed: float, words: int, cores_of_bot: set[int]
) -> SoakReport:
    async with open_stage(folder, speed=speed, words=words, cores_of_bot=cores_of_bot) as stage:
        async with _compute_beside(is_on=idle_seconds > 0):
            idle = await _measure_people(stage, idle_seconds, "idle")
        before, cpu = await read_metrics(stage), read_cpu_seconds(stage.pid)
        async with _fire(stage) as outcomes:
            under_fire = await _measure_people(stage, fire_seconds, "fire")
            cpu_share = (read_cpu_seconds(stage.pid) - cpu) / fire_seconds
            after = await read_metrics(stage)
        await _end_hanging_jobs(stage)
        peak = read_peak_megabytes(stage.pid)
        rows = await _wait_until_notified(folder)
        async with _compute_beside(is_on=idle_seconds > 0):
            for platform, person in (await _measure_people(stage, idle_seconds, "later idle")).items():
                idle[platform].add(person)
        assert await stage.bot.terminate() == 0
        is_right, ledger = await _verify_ledger(stage)
        return SoakReport(
            idle=idle,
            under_fire=under_fire,
            peak_megabytes=peak,
            stalls=_count_stalls("easel_loop_stall_seconds", before, after),
            own_stalls=_count_stalls("easel_loop_stall_cpu_seconds", before, after),
            cpu_share=cpu_share,
            outcomes={**stage.outcomes, **outcomes.counts},
            broken=outcomes.broken + _find_tracebacks(stage.bot.log),
            violations=_list_violations(stage),
            unnotified_jobs=rows[0],
            held_micros=rows[1],
            leaked_requests=stage.private_requests,
            ledger_report=ledger,
            is_ledger_right=is_right,
        )


# The stage.


@contextlib.asynccontextmanager
async def open_stage(
    folder: Path, *, speed: float, words: int, cores_of_bot: Collection[int] = ()
) -> AsyncIterator[SoakStage]:
    """Start everything, with prepared rows: attackers, a conversation of large messages, and refused words."""
    cookies = await _prepare_database(folder, words)
    pictures = _write_pictures(folder / "pictures")
    slack_options = replace(OPTIONS, round_trip_seconds=ROUND_TRIP_SECONDS)
    async with (
        sandbox(speed) as sandbox_url,
        DiscordEmulator(latency_seconds=ROUND_TRIP_SECONDS, gateway_latency_seconds=ROUND_TRIP_SECONDS / 2) as discord,
        SlackEmulator(slack_options) as slack,
        _serve_private_network() as (private_url, private_requests),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as page,
    ):
        guild, team = discord.add_guild("Foxes", channels=("general", "noise")), slack.add_team("Acme")
        ana, mallory = guild.add_member("Ana"), guild.add_member("Mallory")
        general, eve = team.add_channel("general"), team.add_person("Eve")
        settings = {
            "DISCORD_TOKEN": discord.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "DISCORD_CDN_URL": discord.cdn_url,
            "SLACK_BOT_TOKEN": team.bot_token,
            "SLACK_SIGNING_SECRET": slack.signing_secret,
            "SLACK_API_URL": slack.api_url,
            "ALLOWED_WORKSPACES": f"discord:{guild.id},slack:{team.id}",
            "WEB_TOKEN": WEB_TOKEN,
        }
        bot = BotProcess(folder, sandbox_url, settings=settings)
        with _run_on(cores_of_bot):
            await bot.start()
        slack.deliver_over_http(f"{bot.url}/slack/events")
        async with page.get(f"{bot.url}/", params={"token": WEB_TOKEN}) as response:
            assert response.status == 200
        stage = SoakStage(
            folder, bot, sandbox_url, speed, discord, guild, ana, mallory, slack, team, general, eve, page, cookies,
            pictures, private_requests, private_url,
        )  # fmt: skip
        try:
            yield stage
        finally:
            if bot.is_running:
                await bot.kill()


async def _prepare_database(folder: Path, words: int) -> dict[str, str]:
    database, clock = Database(f"sqlite:///{(folder / 'easel.db').as_posix()}"), SystemClock()
    await database.open()
    try:
        users, cookies = WebUsers(database, clock), {}
        for name in ATTACKERS:
            visitor, secret = await users.invite(name)
            cookies[name] = await users.join(secret) or ""
            if name == "exports":
                await _write_large_messages(database, visitor.id)
        async with database.write() as tx:
            for n in range(words):
                await tx.moderation.add_word("web", "page", f"ab*ab*{n:x}*ab*x", "owner")
    finally:
        await database.close()
    return cookies


async def _write_large_messages(database: Database, user_id: str) -> None:
    now = SystemClock().now()
    async with database.write() as tx:
        for n in range(40):
            text = f"{n} " + "a large message " * 6_000
            await tx.page.put(
                PageMessage(f"large{n}", f"{user_id}.main", user_id, "", False, Reply(text=text), now, now)
            )


def _write_pictures(folder: Path) -> tuple[str, ...]:
    folder.mkdir()
    for name, make in HOSTILE.items():
        (folder / f"{name}.png").write_bytes(make())
    (folder / PLAIN_PICTURE).write_bytes(encode_picture("PNG", (600, 600)))
    return tuple(str(path) for path in sorted(folder.iterdir()))


@contextlib.asynccontextmanager
async def _serve_private_network() -> AsyncIterator[tuple[str, list[str]]]:
    """Run a server on loopback that no picture's address may reach; yield the URL and the requests."""
    requests: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readline()).decode(errors="replace"))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


# The people who are measured.


async def _measure_people(stage: SoakStage, seconds: float, phase: str) -> dict[str, PersonFigures]:
    """Let Ana on Discord and the owner on the page draw and chat at once for some time."""
    ends_at = time.monotonic() + seconds
    figures = {"Discord": PersonFigures(), "page": PersonFigures()}
    asks: list[tuple[str, Callable[[PersonFigures, str], Awaitable[tuple[str, float]]]]] = [
        ("Discord", lambda of, words: _draw_on_discord(stage, of, words)),
        ("Discord", lambda of, words: _chat_on_discord(stage, of, words)),
        ("page", lambda of, words: _draw_on_page(stage, of, words)),
        ("page", lambda of, words: _chat_on_page(stage, of, words)),
    ]
    numbers = count()
    raw: list[tuple[PersonFigures, str, str, float]] = []

    async def ask_on(platform: str, ask: Callable[[PersonFigures, str], Awaitable[tuple[str, float]]]) -> None:
        person = figures[platform]
        while time.monotonic() < ends_at:
            words = f"number {phase}{next(numbers)}"
            person.asked += 1
            name, took = await ask(person, words)
            person.answered += 1
            raw.append((person, name, words, took))
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as tasks:
        for platform, ask in asks:
            tasks.create_task(ask_on(platform, ask))
    model_seconds = await _read_model_seconds(stage)
    for person, name, words, took in raw:
        person.seconds[name].append(took - model_seconds[words][name])
    return figures


async def _draw_on_discord(stage: SoakStage, figures: PersonFigures, words: str) -> tuple[str, float]:
    drawn = await stage.ana.use_command("imagine", {"prompt": f"a fox, {words}"}, channel=stage.guild.channels[0])
    figures.seconds["acknowledged"].append(await drawn.wait_for_acknowledgement(PATIENCE_SECONDS))
    message = await drawn.wait_for_message(PATIENCE_SECONDS)
    await message.wait_until(lambda shown: bool(shown.pictures), "the picture", PATIENCE_SECONDS)
    shown_at = next(version.at for version in message.versions if version.attachments)
    return "picture", shown_at - drawn.sent_at


async def _chat_on_discord(stage: SoakStage, figures: PersonFigures, words: str) -> tuple[str, float]:
    question = {"message": f"How do I connect Slack? {words}"}
    asked = await stage.ana.use_command("chat", question, channel=stage.guild.channels[0])
    figures.seconds["acknowledged"].append(await asked.wait_for_acknowledgement(PATIENCE_SECONDS))
    message = await asked.wait_for_message(PATIENCE_SECONDS)
    await message.wait_until(lambda shown: "Regenerate" in shown.button_labels, "the answer", PATIENCE_SECONDS)
    return "first words", _find_first_words(message) - asked.sent_at


def _find_first_words(message: DiscordMessageState) -> float:
    """Return the time of the first version with the beginning of the final text."""
    beginning = message.versions[-1].text[:6]

    def is_begun(version: DiscordMessageVersion) -> bool:
        return version.text.startswith(beginning)

    return next(version.at for version in message.versions if is_begun(version))


async def _draw_on_page(stage: SoakStage, figures: PersonFigures, words: str) -> tuple[str, float]:
    return "picture", await _ask_on_page(stage, figures, f"/imagine a fox, {words}", lambda shown: shown["pictures"])


async def _chat_on_page(stage: SoakStage, figures: PersonFigures, words: str) -> tuple[str, float]:
    question = f"How do I connect Slack? {words}"
    return "first words", await _ask_on_page(stage, figures, question, lambda shown: shown["text"])


async def _ask_on_page(
    stage: SoakStage, figures: PersonFigures, text: str, is_found: Callable[[dict[str, Any]], object]
) -> float:
    """Ask in a conversation of its own, and return the seconds until `is_found`; wait for the end of the job.

    Half of a round trip is slept before the ask; the other half is added to each figure.
    """
    request_id = secrets.token_hex(8)
    body = {"channel": request_id, "text": text, "request_id": request_id}
    headers = {"X-Easel": "1"}
    found_seconds = float("nan")
    async with stage.page.get(f"{stage.bot.url}/api/events", params={"channel": request_id}) as stream:
        asked_at = time.perf_counter()
        await asyncio.sleep(ROUND_TRIP_SECONDS / 2)
        async with stage.page.post(f"{stage.bot.url}/api/say", json=body, headers=headers) as response:
            answer = await response.json()
            assert (response.status, answer["error"]) == (200, ""), answer
            figures.seconds["acknowledged"].append(time.perf_counter() - asked_at + ROUND_TRIP_SECONDS / 2)
        shown: dict[str, Any] = {"text": "", "pictures": [], "tone": "", "who": "you"}
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for change in _read_changes(stream):
                if change.get("who", shown["who"]) == "you" and shown["who"] != "bot":
                    continue
                shown |= change
                if "append" in change:
                    shown["text"] = shown["text"] + change["append"]
                if is_found(shown) and found_seconds != found_seconds:  # nan is unequal to itself
                    found_seconds = time.perf_counter() - asked_at + ROUND_TRIP_SECONDS / 2
                if shown["tone"] not in ("working", ""):
                    break
        assert shown["tone"] == "done", shown
    return found_seconds


async def _read_changes(stream: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in stream.content:
        if line.startswith(b"data: "):
            data = json.loads(line.removeprefix(b"data: "))
            for change in data if isinstance(data, list) else [data]:
                yield change


async def _read_model_seconds(stage: SoakStage) -> dict[str, dict[str, float]]:
    """Return the model's own time by the words of the ask: until the first token, and until the end."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with stage.page.get(f"{stage.sandbox_url}/sandbox/predictions", headers=headers) as response:
        predictions = {prediction["id"]: prediction for prediction in (await response.json())["predictions"]}
    # The sandbox forgets the inputs of old runs; the bot's rows do not.
    runs = _read_rows(
        stage.folder,
        "SELECT jobs.options, predictions.backend_id FROM jobs JOIN predictions ON predictions.id = jobs.prediction",
    )
    found = {}
    for options, run in runs:
        if run in predictions and (match := re.findall(r"number (?:idle|later idle|fire)\d+", options)):
            prediction = predictions[run]
            seconds = prediction["metrics"].get("total_time", 0.0)
            found[match[-1]] = {"first words": prediction["first_output_seconds"] or seconds, "picture": seconds}
    return found


# The attackers on the platforms, and the processes of the others.


@dataclass
class _FireOutcomes:
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def _fire(stage: SoakStage, attacks: Collection[str] = ALL_ATTACKS) -> AsyncIterator[_FireOutcomes]:
    """Play attacks until the end of the block; the outcomes are complete after the block."""
    outcomes = _FireOutcomes()
    async with contextlib.AsyncExitStack() as stack:
        for n, group in enumerate((MEMBERS, STRANGERS)):
            if chosen := [name for name in group if name in attacks]:
                await stack.enter_async_context(_play_attacks(stage, n, chosen, outcomes))
        tasks = [asyncio.create_task(play(stage)) for name, play in PLATFORM_ATTACKS.items() if name in attacks]
        try:
            yield outcomes
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            outcomes.broken += [repr(error) for error in results if isinstance(error, Exception)]


def _divide_cores() -> tuple[set[int], set[int]]:
    """Return the bot's core, and the cores of everybody else; no cores where there are fewer than two, or no choice."""
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
    return ({min(cores)}, cores - {min(cores)}) if len(cores) > 1 else (set(), set())


@contextlib.contextmanager
def _run_on(cores: Collection[int]) -> Iterator[None]:
    """Run this thread, and the processes that it starts, on some cores inside the block."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def _compute_beside(*, is_on: bool) -> AsyncIterator[None]:
    """Keep as many processes of the attackers' priority busy as attackers run in."""
    busy = f"import os; os.setpriority(os.PRIO_PROCESS, 0, {NICENESS})\nwhile True: pass"
    spinners = [await asyncio.create_subprocess_exec(sys.executable, "-c", busy) for _ in range(2 * is_on)]
    try:
        yield
    finally:
        for process in spinners:
            process.kill()
            await process.wait()


async def measure_attacks(folder: Path, *, seconds: float, words: int) -> dict[str, tuple[float, float]]:
    """Play each attack alone; return the bot's CPU milliseconds per request, and the requests a second."""
    figures = {}
    async with open_stage(folder, speed=0.5, words=words) as stage:
        for name in ALL_ATTACKS:
            cpu, began = read_cpu_seconds(stage.pid), time.monotonic()
            before = stage.outcomes.get(name, Counter()).total()
            async with _fire(stage, [name]) as outcomes:
                await asyncio.sleep(seconds)
                await _end_hanging_jobs(stage)
            await _wait_until_notified(folder)
            counts = (outcomes.counts or stage.outcomes).items()
            requests = sum(of.total() for key, of in counts if outcomes.counts or key == name) - before
            took = time.monotonic() - began
            milliseconds = (read_cpu_seconds(stage.pid) - cpu) * 1000
            figures[name] = (milliseconds / max(requests, 1), requests / took)
        return figures


@contextlib.asynccontextmanager
async def _play_attacks(
    stage: SoakStage, n: int, attacks: Sequence[str], outcomes: _FireOutcomes
) -> AsyncIterator[None]:
    plan = stage.folder / f"plan{n}.json"
    plan.write_text(
        json.dumps(
            {"url": stage.bot.url, "cookies": stage.cookies, "pictures": stage.pictures, "attacks": list(attacks)}
        )
    )
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.chaos.hostile_load", str(plan))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        yield
        printed, _ = await asyncio.wait_for(process.communicate(b""), PATIENCE_SECONDS)
        result = json.loads(printed)
        outcomes.counts |= {name: Counter(counts) for name, counts in result["counts"].items()}
        outcomes.broken += result["broken"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _attack_discord(stage: SoakStage) -> None:
    """Post galleries of another bot and hostile words, and ask the bot about them."""
    state, noise = stage.discord.state, stage.guild.channels[1]
    gallery_bot = state.add_user("Gallery", bot=True)
    state.add_member(stage.guild, gallery_bot)
    addresses = [
        f"http://{stage.private_url}/metadata",
        f"https://{stage.private_url}/metadata",
        "https://169.254.169.254/latest",
        _store_large_file(stage, noise),
    ]
    texts = [text[:1_900] for text in HOSTILE_TEXTS]
    pictures = [path for path in map(Path, stage.pictures) if path.stem in DISCORD_PICTURES]
    for n in count():
        item = {"media": {"url": addresses[n % len(addresses)]}}
        draft = DiscordMessageDraft({"components": [{"type": GALLERY, "items": [item]}], "flags": COMPONENTS_V2}, {})
        post = create_message(state, noise, gallery_bot, draft)
        await stage.mallory.say(f"{stage.discord.bot.mention} caption", reply_to=post)
        asked = await stage.mallory.use_command(
            "imagine", {"prompt": f"fault:oom {texts[n % len(texts)]}"[:1_500]}, channel=noise
        )
        picture = pictures[n % len(pictures)]
        upload = DiscordFileUpload(picture.name, picture.read_bytes())
        captioned = await stage.mallory.use_command(
            "caption", {"image": upload, "question": "fault:oom"}, channel=noise
        )
        for interaction in (asked, captioned):
            await interaction.wait_for_acknowledgement(PATIENCE_SECONDS)
        stage.note("Discord: galleries, words and pictures", "acknowledged")
        await asyncio.sleep(0.5)


def _store_large_file(stage: SoakStage, channel: DiscordChannelState) -> str:
    """Return the address of a file of 400 MB on Discord's own storage."""
    state = stage.discord.state
    file_id = state.ids.next()
    url = build_file_url(state, "attachments", channel, file_id, "large.png")
    state.files[file_id] = DiscordAttachmentState(file_id, "large.png", bytes(400 << 20), "image/png", url)
    return url


async def _attack_slack(stage: SoakStage) -> None:
    """Say hostile words of 40,000 characters to the bot, as a mention and as a command."""
    for n in count():
        text = HOSTILE_TEXTS[n % len(HOSTILE_TEXTS)]
        said = await stage.eve.say(f"{stage.team.mention} fault:oom {text}"[:39_900], stage.general)
        asked = await stage.eve.use_command("/imagine", f"fault:oom {text}"[:3_900], stage.general)
        await asked.wait_for_acknowledgement(PATIENCE_SECONDS)
        for delivery in said.deliveries:
            await delivery.wait_for_acknowledgement(PATIENCE_SECONDS)
        stage.note("Slack: hostile words", "acknowledged")
        await asyncio.sleep(0.5)


PLATFORM_ATTACKS = {
    "Discord: galleries, words and pictures": _attack_discord,
    "Slack: hostile words": _attack_slack,
}


# The end.


async def _end_hanging_jobs(stage: SoakStage) -> None:
    """Stop the runs that hang on purpose, as a moderator does."""
    rows = _read_rows(stage.folder, "SELECT id FROM jobs WHERE notified_at IS NULL")
    for (job,) in rows:
        body = {"channel": "main", "text": f"/jobs cancel {job}", "request_id": secrets.token_hex(8)}
        async with stage.page.post(f"{stage.bot.url}/api/say", json=body, headers={"X-Easel": "1"}) as response:
            await response.read()


async def _wait_until_notified(folder: Path) -> tuple[int, int]:
    """Return the jobs whose people were not told the end, and the micros still held; zero each, or after a minute."""
    rows: list[Any] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                rows = _read_rows(
                    folder,
                    "SELECT (SELECT count(*) FROM jobs WHERE notified_at IS NULL),"
                    " (SELECT coalesce(sum(held_micros), 0) FROM accounts)",
                )
                if rows == [(0, 0)]:
                    break
                await asyncio.sleep(0.2)
    unnotified, held_micros = rows[0]
    return unnotified, held_micros


def _list_violations(stage: SoakStage) -> list[str]:
    """Return the violations of both platforms, without a second first response that the bot's log announces.

    A first response whose confirmation comes late is sent once more, since Discord waits three seconds at most.
    """
    repeats = sum(b"discord.acknowledging_again" in line for line in stage.bot.log)
    twice = [violation for violation in stage.discord.violations if "acknowledged twice" in violation]
    others = [violation for violation in stage.discord.violations if violation not in twice]
    return [*others, *twice[repeats:], *stage.slack.violations]


def _find_tracebacks(log: Sequence[bytes]) -> list[str]:
    """Return each traceback of the bot's log, with the line before."""
    lines = [line.decode(errors="replace") for line in log]
    starts = [n for n, line in enumerate(lines) if "Traceback" in line]
    return ["".join(lines[max(0, n - 1) : n + 40]) for n in starts]


async def _verify_ledger(stage: SoakStage) -> tuple[bool, str]:
    process = await VerbProcess.start(["quota", "verify"], stage.bot.environment)
    printed = await process.lines.read()
    return await process.wait() == 0, printed.decode().strip()


def _read_rows(folder: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{folder / 'easel.db'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def read_metrics(stage: SoakStage) -> dict[str, float]:
    """Return every sample of /metrics by name and labels."""
    async with stage.page.get(f"{stage.bot.url}/metrics") as response:
        text = await response.text()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def _count_stalls(name: str, before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    """Return the new observations of a histogram by the bucket's upper bound."""
    counts, below = {}, 0
    for sample, value in after.items():
        if sample.startswith(f"{name}_bucket"):
            total = int(value - before.get(sample, 0.0))
            counts[sample.partition('le="')[2].rstrip('"}')] = total - below
            below = total
    return {bound: number for bound, number in counts.items() if number}


def read_peak_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
