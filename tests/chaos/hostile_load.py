"""Plays hostile people and strangers of the page, each in a loop without pause, in a process of low priority.

    python -m tests.chaos.hostile_load PLAN.json

The plan names the bot's address, the cookies of signed-in attackers, prepared pictures and the attacks. The process
plays until its input ends, then prints the outcomes by attack as JSON.
"""

import asyncio
import contextlib
import gzip
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

NICENESS = 19
PLAIN_PICTURE = "plain.png"
"""A picture of 600 × 600 pixels beside the hostile pictures."""
HOSTILE_TEXTS = (
    "<@UA|" * 8_000,
    "<http:" * 6_666,
    ">" * 16_000,
    "[" * 20_000 + "](https://a.example)",
    "`" * 39_999 + "x",
    "*_~" * 13_000,
    "a\u0301" * 20_000,
    "\n" * 40_000,
)
"""Texts of some 40,000 characters that parsers of markup and Markdown read in quadratic time when careless."""
MIN_PAUSE_SECONDS = 0.001
FIRST_ROUND_SECONDS = 50.0
"""Time for the first round of an attack after the end: on a busy machine a round takes longer than a short soak."""


@dataclass(frozen=True)
class HostilePlan:
    """The address of the bot, the cookies of attackers by name, the hostile pictures, and the attacks to play."""

    url: str
    cookies: Mapping[str, str]
    pictures: tuple[str, ...]
    attacks: tuple[str, ...]


@dataclass
class HostileOutcomes:
    """Counts each outcome of each attack; `broken` holds answers that no attack may get."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def note(self, attack: str, outcome: str) -> None:
        self.counts.setdefault(attack, Counter())[outcome] += 1

    def note_answer(self, attack: str, status: int, body: str) -> None:
        """Count an answer of the page. A refusal is one sentence: no traceback, no empty page, no broken server."""
        sentence = _find_sentence(body)
        is_accepted = status < 400 and not sentence
        if (status >= 500 and status != 503) or "Traceback" in body or "Something broke" in body:
            self.broken.append(f"{attack}: {status} {body[:200]}")
        elif not is_accepted and not 0 < len(sentence) <= 2_100:
            self.broken.append(f"{attack}: {status} without a sentence: {body[:200]!r}")
        self.note(attack, "accepted" if is_accepted else f"{status} {sentence[:60]}")


def _find_sentence(body: str) -> str:
    """Return the refusal in a body: the error of a JSON object, or a text that is no page."""
    try:
        found = json.loads(body)
    except ValueError:
        return body.strip() if body and "<html" not in body[:200].lower() else body[:200]
    return str(found.get("error", "")) if isinstance(found, dict) else ""


class HostilePage:
    """Requests as attackers send them."""

    def __init__(self, plan: HostilePlan, session: aiohttp.ClientSession, outcomes: HostileOutcomes) -> None:
        self.plan = plan
        self.session = session
        self.outcomes = outcomes
        self.address = urlsplit(plan.url)
        self.pictures = [(Path(path).name, Path(path).read_bytes()) for path in plan.pictures]
        self.stopped = asyncio.Event()

    async def send(self, attack: str, method: str, path: str, *, by: str = "", **options: Any) -> None:
        """Send a request, of an attacker with a cookie if `by` names one, and note the answer."""
        headers = {"X-Easel": "1", **({"Cookie": f"easel={self.plan.cookies[by]}"} if by else {})}
        headers |= options.pop("headers", {})
        try:
            async with self.session.request(
                method, f"{self.plan.url}{path}", headers=headers, allow_redirects=False, **options
            ) as response:
                self.outcomes.note_answer(attack, response.status, await response.text(errors="replace"))
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self.outcomes.note(attack, type(error).__name__)

    async def say(self, attack: str, text: str, *, by: str, picture: tuple[str, bytes] | None = None) -> None:
        ask = {"channel": "main", "text": text, "request_id": secrets.token_hex(8)}
        if picture is None:
            await self.send(attack, "POST", "/api/say", by=by, json=ask)
            return
        writer = aiohttp.MultipartWriter("form-data")
        writer.append_json(ask).set_content_disposition("form-data", name="ask")
        part = writer.append(picture[1], {"Content-Type": "image/png"})
        part.set_content_disposition("form-data", name="image", filename=picture[0])
        await self.send(attack, "POST", "/api/say", by=by, data=writer)

    async def open_socket(self, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.address.hostname, self.address.port)
        writer.write(head)
        await writer.drain()
        return reader, writer


Attack = Callable[[HostilePage, int], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}


def attack(name: str) -> Callable[[Attack], Attack]:
    def register(play: Attack) -> Attack:
        ATTACKS[name] = play
        return play

    return register


# Signed-in attackers.


@attack("hostile pictures")
async def upload_pictures(page: HostilePage, n: int) -> None:
    await page.say(
        "hostile pictures", "/caption fault:oom", by="pictures", picture=page.pictures[n % len(page.pictures)]
    )


@attack("files of refused asks")
async def upload_to_refused_ask(page: HostilePage, _: int) -> None:
    noise = secrets.token_bytes(1 << 20) * 8
    await page.say("files of refused asks", "/caption --model nosuch", by="refused", picture=("noise.png", noise))


@attack("one seed again and again")
async def repeat_seed(page: HostilePage, _: int) -> None:
    await page.say("one seed again and again", "/imagine fault:hang a fox --seed 7", by="seeds")


@attack("refused asks")
async def ask_refused(page: HostilePage, _: int) -> None:
    await page.say("refused asks", "/imagine a fox --count 9", by="asks")


@attack("failing runs")
async def ask_failing(page: HostilePage, n: int) -> None:
    await page.say("failing runs", f"/imagine fault:oom {n}", by="failing")


@attack("upscale too large")
async def upscale_too_large(page: HostilePage, _: int) -> None:
    large = next(picture for picture in page.pictures if picture[0] == PLAIN_PICTURE)
    await page.say("upscale too large", "/upscale --scale 10", by="upscale", picture=large)


@attack("exports")
async def export(page: HostilePage, _: int) -> None:
    await page.say("exports", "/privacy export", by="exports")


@attack("hostile texts")
async def send_text(page: HostilePage, n: int) -> None:
    text = HOSTILE_TEXTS[n % len(HOSTILE_TEXTS)]
    # Whole, and cut to the longest message that is accepted.
    await page.say("hostile texts", f"/chat fault:oom {text}"[: 15_900 if n % 2 else 60_000], by="texts")


@attack("words before refused words")
async def send_long_words(page: HostilePage, n: int) -> None:
    await page.say("words before refused words", f"/chat fault:oom {n} " + "abab" * 3_900, by="words")


@attack("deep JSON")
async def send_deep_json(page: HostilePage, n: int) -> None:
    body = ('{"a":' if n % 2 else "[") * 12_000
    headers = {"Content-Type": "application/json"}
    await page.send("deep JSON", "POST", "/api/say", by="json", data=body, headers=headers)


@attack("64 streams of large messages")
async def open_streams(page: HostilePage, n: int) -> None:
    """Open a stream, read a piece, and leave the rest; each of the first 64 stays open for a while."""
    head = (
        f"GET /api/events?channel=main&n={n} HTTP/1.1\r\nHost: {page.address.netloc}\r\n"
        f"Cookie: easel={page.plan.cookies['exports']}\r\n\r\n"
    )
    await asyncio.gather(*(_hold_stream(page, head.encode(), is_read=k % 2 == 0) for k in range(64)))


async def _hold_stream(page: HostilePage, head: bytes, *, is_read: bool) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError):
        reader, writer = await page.open_socket(head)
        try:
            async with asyncio.timeout(5):
                line = await reader.readline()
                page.outcomes.note("64 streams of large messages", line.decode(errors="replace").strip()[:40])
                while is_read and await reader.read(65_536):
                    pass
                await page.stopped.wait()
        finally:
            writer.transport.abort()


# Strangers.


@attack("silent uploads and slow headers")
async def stay_silent(page: HostilePage, _: int) -> None:
    cookie = page.plan.cookies["silent"]
    upload = (
        f"POST /api/say HTTP/1.1\r\nHost: {page.address.netloc}\r\nX-Easel: 1\r\nCookie: easel={cookie}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="ask"\r\nContent-Type: application/json\r\n\r\n'
        '{"channel": "main", "request_id": "silent-upload", "text": "/caption"}\r\n'
        '--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    )
    await asyncio.gather(
        *(_wait_in_silence(page, upload.encode(), "408") for _ in range(8)),
        *(_wait_in_silence(page, b"GET / HTTP/1.1\r\nHost:", "closed") for _ in range(100)),
    )


async def _wait_in_silence(page: HostilePage, head: bytes, expected: str) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError):
        reader, writer = await page.open_socket(head)
        page.outcomes.note("silent uploads and slow headers", "silent")
        try:
            async with asyncio.timeout(100):
                line = await reader.readline()
            page.outcomes.note(f"silence, {expected} expected", line.decode(errors="replace").strip()[:40] or "closed")
        finally:
            writer.transport.abort()


@attack("gzip bombs")
async def send_bomb(page: HostilePage, n: int) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    path = ("/api/say", "/webhooks/replicate", "/slack/events", "/admin/people")[n % 4]
    await page.send("gzip bombs", "POST", path, data=make_bomb(), headers=headers)


@cache
def make_bomb() -> bytes:
    """Return some hundred kilobytes that unpack to 200 MB."""
    return gzip.compress(b" " * 200_000_000, 1)


@attack("forged webhooks")
async def forge_webhook(page: HostilePage, n: int) -> None:
    body = json.dumps({"id": f"forged{n}", "status": "succeeded", "output": ["https://a.example"]})
    headers = {"webhook-id": f"msg_{n}", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,Zm9yZ2Vk"}
    await page.send("forged webhooks", "POST", "/webhooks/replicate?job=any", data=body, headers=headers)


@attack("forged Slack requests")
async def forge_slack(page: HostilePage, n: int) -> None:
    stamp = (str(int(time.time())), "nan", "١٢٣", "9" * 400, "")[n % 5]
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": ("v0=00", "v0=ä", "")[n % 3]}
    headers |= {"Content-Type": "application/json; charset=odd"}
    await page.send("forged Slack requests", "POST", "/slack/events", data="[" * 50_000, headers=headers)


@attack("guesses of WEB_TOKEN")
async def guess_token(page: HostilePage, n: int) -> None:
    await page.send("guesses of WEB_TOKEN", "GET", f"/?token=guess{n}")


@attack("requests that are not HTTP")
async def send_malformed(page: HostilePage, n: int) -> None:
    head = (b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n")[n % 3]
    with contextlib.suppress(ConnectionError, TimeoutError):
        reader, writer = await page.open_socket(head)
        try:
            async with asyncio.timeout(20):
                answer = (await reader.read(4_096)).decode(errors="replace")
            page.outcomes.note("requests that are not HTTP", answer.partition("\r\n")[0][:40] or "closed")
            if "Traceback" in answer:
                page.outcomes.broken.append(answer)
        finally:
            writer.transport.abort()


async def play(plan: HostilePlan) -> HostileOutcomes:
    """Play the attacks at once until the input of this process ends."""
    outcomes = HostileOutcomes()
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, cookie_jar=jar) as session:
        page = HostilePage(plan, session, outcomes)
        tasks = {asyncio.create_task(_play_until_stopped(page, ATTACKS[name])): name for name in plan.attacks}
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        page.stopped.set()
        if unplayed := [task for task, name in tasks.items() if name not in outcomes.counts]:
            await asyncio.wait(unplayed, timeout=FIRST_ROUND_SECONDS)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    outcomes.broken += [repr(error) for error in results if isinstance(error, Exception)]
    return outcomes


async def _play_until_stopped(page: HostilePage, play_once: Attack) -> None:
    n = 0
    while not (n and page.stopped.is_set()):
        await play_once(page, n)
        await asyncio.sleep(MIN_PAUSE_SECONDS)
        n += 1


def main() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    plan = HostilePlan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    outcomes = asyncio.run(play(plan))
    sys.stdout.write(json.dumps({"counts": outcomes.counts, "broken": outcomes.broken[:20]}))


if __name__ == "__main__":
    main()
