"""Webhooks of workspaces: posts over TLS to a receiver that checks signatures with Replicate's official client."""

import asyncio
import itertools
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret

from bot.core.invocations import Invocation
from bot.core.people import Workspace
from bot.jobs.webhooks import RETRY_SECONDS
from bot.platforms.web.commands import format_request_text
from bot.platforms.web.request_parsing import MessageRequest
from tests.bench import Bench
from tests.certificates import make_contexts
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, get_text
from tests.jobs.webhook_site import HOST, SECRET, WebhookSite, make_fetcher
from tests.storage.raw import execute

ROOT = Path(__file__).parents[2]
HALF_A_DAY = 12 * 3600
PAGE = Workspace("web", "page")


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    return (*make_contexts(folder, HOST), folder / "cert.pem")


@pytest.fixture
async def site(contexts: tuple[ssl.SSLContext, ssl.SSLContext, Path]) -> AsyncIterator[WebhookSite]:
    site = WebhookSite(contexts[0])
    await site.open()
    yield site
    await site.close()


@pytest.fixture
async def bench(
    tmp_path: Path, site: WebhookSite, contexts: tuple[ssl.SSLContext, ssl.SSLContext, Path]
) -> AsyncIterator[Bench]:
    """A bot whose page posts to the site."""
    bench = await Bench.open(tmp_path, fetcher=make_fetcher(site.port, contexts[1]), public_url="https://easel.example")
    await set_webhook(bench, site)
    yield bench
    await bench.close()


async def set_webhook(bench: Bench, site: WebhookSite, secret: str = SECRET) -> str:
    return get_text(await bench.say(f"/settings webhook {site.url} {secret}", by=MODERATOR))


async def send(bench: Bench, seconds: float = 0) -> None:
    """Let time pass, and send what is due then."""
    await bench.clock.advance(seconds)
    await bench.app.webhooks.send_due()
    await bench.app.webhooks.wait_until_sent()


def check_signature(call: tuple[dict[str, str], str], secret: str = SECRET) -> None:
    headers, body = call
    Webhooks.validate(headers=headers, body=body, secret=WebhookSigningSecret(key=secret))


async def count_posts(bench: Bench) -> int:
    return len(await execute(bench.app.database, "SELECT job FROM webhook_posts"))


async def test_an_ended_job_is_posted_signed_and_without_words(bench: Bench, site: WebhookSite) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    picture = bench.last_message.reply.pictures[0]
    await send(bench)

    assert site.bodies == [
        {
            "type": "job.finished",
            "timestamp": job.notified_at.isoformat() if job.notified_at else "",
            "data": {
                "job": job.id,
                "platform": "web",
                "workspace": "page",
                "channel": "c1",
                "thread": "",
                "user": "ana",
                "command": "imagine",
                "model": "flux-schnell",
                "credits": 3.0,
                "asked_at": job.created_at.isoformat(),
                "files": [
                    {
                        "sha256": picture.sha256,
                        "mime": picture.mime,
                        "bytes": picture_bytes(bench, picture.sha256),
                        "width": picture.width,
                        "height": picture.height,
                        "seconds": None,
                        "is_flagged": False,
                        "url": f"https://easel.example/shared/{picture.sha256}",
                    }
                ],
            },
        }
    ]
    check_signature(site.calls[0])
    with pytest.raises(InvalidSignatureError):
        check_signature((site.calls[0][0], site.calls[0][1].replace("ana", "ben")))
    assert await count_posts(bench) == 0
    assert "fox" not in site.calls[0][1]


def picture_bytes(bench: Bench, sha256: str) -> int:
    path = bench.app.media.find_path(sha256)
    assert path is not None
    return path.stat().st_size


async def test_failed_and_stopped_jobs_are_posted_as_such(bench: Bench, site: WebhookSite) -> None:
    bench.backend.will(error="no")
    await bench.say("/imagine a fox")
    bench.backend.will(error="", hangs_after=0)
    await bench.say("/imagine a hare")
    await bench.press("cancel")
    await send(bench)

    assert [(body["type"], body["data"]["files"]) for body in site.bodies] == [
        ("job.failed", []),
        ("job.cancelled", []),
    ]


async def test_a_refused_post_is_repeated_under_the_same_id_until_it_is_taken(bench: Bench, site: WebhookSite) -> None:
    site.statuses = [500, 302, 404]
    site.location = f"https://{HOST}:{site.port}/elsewhere"
    await bench.say("/imagine a fox")

    await send(bench)
    for wait in RETRY_SECONDS[:3]:
        await send(bench, wait - 1)
        await send(bench, 1)

    assert len(site.calls) == 4
    assert set(site.ids) == {f"job_{(await bench.get_job()).id}"}
    for call in site.calls:
        check_signature(call)
    # The signature is of the attempt's own time: receivers refuse old ones.
    sent = [int(headers["webhook-timestamp"]) for headers, _ in site.calls]
    assert [later - earlier for earlier, later in itertools.pairwise(sent)] == [5, 30, 120]
    assert await count_posts(bench) == 0


async def test_a_silent_receiver_is_given_up_and_the_moderators_are_told_once(bench: Bench, site: WebhookSite) -> None:
    site.statuses = [500] * 9
    await bench.say("/imagine a fox")
    await bench.say("/imagine a hare")
    await send(bench)
    asked = len(bench.platform.messages)

    await send(bench, HALF_A_DAY)
    await send(bench, HALF_A_DAY)

    told = list(bench.platform.messages.values())[asked:]
    assert [message.text for message in told] == [
        f"I stopped posting results to this workspace's webhook: https://{HOST}:{site.port} answered 500. "
        "2 results were not posted. When the receiver works, set it again with `/settings webhook`."
    ]
    assert "nowhere: https://" in get_text(await bench.say("/settings show", by=MODERATOR))
    assert await execute(bench.app.database, "SELECT secret FROM webhooks") == [("",)]
    await bench.say("/imagine a cat")
    assert await count_posts(bench) == 0
    assert len(site.calls) == 2


async def test_a_post_that_alone_is_refused_for_long_does_not_end_the_webhook(bench: Bench, site: WebhookSite) -> None:
    site.statuses = [500]
    await bench.say("/imagine a fox")
    await send(bench)
    await bench.clock.advance(HALF_A_DAY)
    await bench.say("/imagine a hare")
    site.statuses = [200, 500]
    await execute(bench.app.database, "UPDATE webhook_posts SET due_at = '2027-01-01' WHERE attempts > 0")
    await send(bench)
    await execute(bench.app.database, "UPDATE webhook_posts SET due_at = '2026-01-01'")
    await send(bench)

    assert await count_posts(bench) == 0
    assert "to https://" in get_text(await bench.say("/settings show", by=MODERATOR))


async def test_a_receiver_that_is_gone_gets_nothing_more(bench: Bench, site: WebhookSite) -> None:
    site.statuses = [410]
    await bench.say("/imagine a fox")
    await send(bench)

    assert "answered 410" in bench.last_text
    assert "nowhere" in get_text(await bench.say("/settings show", by=MODERATOR))


async def test_what_a_few_people_alone_see_is_not_posted(bench: Bench, site: WebhookSite) -> None:
    bench.platform.private_threads.add("behind-doors")
    await bench.say("/imagine a fox", channel=replace(CHANNEL, id="direct-ana"))
    await bench.say("/imagine a fox", channel=replace(CHANNEL, thread="behind-doors"))
    private = Invocation(ANA, CHANNEL, "imagine", "web:private", {"prompt": "a fox"}, is_private=True)
    await bench.app.dispatcher.handle(private)
    await bench.wait_until_idle()

    assert len(bench.backend.runs) == 3
    assert await count_posts(bench) == 0


async def test_the_secret_and_the_path_are_never_shown(
    bench: Bench, site: WebhookSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    shown = await set_webhook(bench, site)
    site.statuses = [500]
    await bench.say("/imagine a fox")
    await send(bench)
    texts = [
        get_text(await bench.say(line, by=MODERATOR)) for line in ("/settings show", "/audit", "/quota budget show")
    ]
    await bench.say("/privacy export", by=MODERATOR)
    texts += [file.text for message in bench.platform.messages.values() for file in message.reply.files]
    async with bench.app.database.read() as tx:
        texts.append(repr(await tx.webhooks.get(PAGE)))
    asked = MessageRequest("main", "r1", f"/settings webhook {site.url} {SECRET}", {"secret": SECRET})
    texts.append(format_request_text(asked))

    assert shown == f"- **Results are posted**: to https://{HOST}:{site.port}, when they end"
    everything = "\n".join(
        [shown, *texts, *map(str, (record.__dict__ for record in caplog.records if record.name.startswith("bot")))]
    )
    assert SECRET.removeprefix("whsec_") not in everything
    assert "of-the-receiver" not in everything.replace(format_request_text(asked), "")
    assert f"webhook: – → https://{HOST}:{site.port} with a new secret" in texts[1]


PRIVATE_ADDRESSES = [
    ("http://hooks.example/in", "https://"),
    ("https://10.0.0.1:{port}/in", "private or local"),
    ("https://[fe80::1]:{port}/in", "private or local"),
    ("https://169.254.169.254:{port}/", "private or local"),
    ("https://0x7f000001:{port}/in", "private or local"),
    ("https://hooks.example:22/in", "unusual ports"),
    ("https://ana:key@hooks.example:{port}/in", "user name"),
    ("nonsense", "https"),
]


async def test_an_address_that_is_not_public_is_refused(bench: Bench, site: WebhookSite) -> None:
    for url, reason in PRIVATE_ADDRESSES:
        refused = get_text(await bench.say(f"/settings webhook {url.format(port=site.port)} {SECRET}", by=MODERATOR))

        assert refused.startswith("The webhook needs a public https address. ")
        assert reason in refused


async def test_a_weak_or_broken_secret_is_refused_without_being_quoted(bench: Bench, site: WebhookSite) -> None:
    for secret in ("", "hunter2", "whsec_c2hvcnQ=", "whsec_no base64!", "whsec_" + "QUJD" * 22):
        refused = get_text(await bench.say(f'/settings webhook {site.url} --secret "{secret}"', by=MODERATOR))

        assert "24 to 64 random bytes in base64" in refused
        assert not secret or secret not in refused


async def test_a_name_that_later_leads_to_a_private_address_is_not_followed(
    tmp_path: Path, site: WebhookSite, contexts: tuple[ssl.SSLContext, ssl.SSLContext, Path]
) -> None:
    fetcher = make_fetcher(site.port, contexts[1], ["127.0.0.1", "192.168.0.1"])
    bench = await Bench.open(tmp_path, fetcher=fetcher)
    await set_webhook(bench, site)

    tried = get_text(await bench.say("/settings webhook test", by=MODERATOR))

    assert tried == f"https://{HOST}:{site.port} could not be reached."
    assert site.calls == []
    await bench.close()


async def test_a_test_is_posted_and_a_webhook_can_be_turned_off(bench: Bench, site: WebhookSite) -> None:
    taken = get_text(await bench.say("/settings webhook test", by=MODERATOR))
    await bench.say("/imagine a fox")
    off = get_text(await bench.say("/settings webhook off", by=MODERATOR))
    await send(bench)
    nothing = get_text(await bench.say("/settings webhook test", by=MODERATOR))
    refused = get_text(await bench.say("/settings webhook off"))

    assert taken == f"https://{HOST}:{site.port} took the test."
    check_signature(site.calls[0])
    assert [body["type"] for body in site.bodies] == ["webhook.test"]
    assert off == "- **Results are posted**: nowhere *(default)*"
    assert nothing == "There is no webhook to test: give url and secret first."
    assert "is for a moderator" in refused
    assert await execute(bench.app.database, "SELECT * FROM webhooks") == []


async def test_a_post_waits_for_the_commit_alone(bench: Bench, site: WebhookSite) -> None:
    bench.app.webhooks.start()

    await bench.say("/imagine a fox")

    async with asyncio.timeout(10):
        await site.called.wait()
    await bench.app.webhooks.wait_until_sent()
    assert await count_posts(bench) == 0
    await bench.app.webhooks.stop()


@asynccontextmanager
async def run_bot(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "tests.jobs.webhook_site", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_bot_killed_while_it_posts_posts_again_after_the_restart(
    tmp_path: Path, site: WebhookSite, contexts: tuple[ssl.SSLContext, ssl.SSLContext, Path]
) -> None:
    site.is_silent = True
    async with run_bot(tmp_path, contexts[2], site.port) as process:
        async with asyncio.timeout(60):
            await site.called.wait()
        process.send_signal(signal.SIGKILL)
    site.is_silent = False
    bench = await Bench.open(tmp_path, fetcher=make_fetcher(site.port, contexts[1]))

    await send(bench)
    leased = len(site.calls)
    await send(bench, 61)

    assert (leased, len(site.calls), len(set(site.ids))) == (1, 2, 1)
    check_signature(site.calls[1])
    assert await count_posts(bench) == 0
    await bench.close()
