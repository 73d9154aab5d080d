"""Bad input: refused in a clear sentence, without loss of credits, jobs or text."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.errors import BackendBusy, BackendDown, BackendError, BackendOutOfCredit, BackendRefusedToken
from bot.core.people import BOT, User
from bot.core.replies import Tone
from bot.storage.moderation import PauseKind, PauseTarget
from bot.storage.policies import Policy
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, NOW


async def expect_refusal(bench: Bench, typed_line: str, image: bytes | None = None) -> str:
    """Return the text of a refusal, after checks for side effects."""
    reply = await bench.say(typed_line, image=image)
    assert reply is not None
    assert reply.tone is Tone.ERROR
    assert reply.is_private
    assert bench.platform.messages == {}
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    return reply.text


@pytest.mark.parametrize(
    ("typed_line", "sentence"),
    [
        ("/imagine", "prompt is missing: What should the picture show?"),
        ("/imagine " + "x" * 1501, "prompt is 1 characters too long: at most 1500, please."),
        ("/imagine a fox --count 9", "count must be from 1 to 4, not 9."),
        ("/imagine a fox --steps 9", "FLUX schnell takes steps from 1 to 4, not 9."),
        ("/imagine a fox --model flux-shnell", "There is no model called “flux-shnell”. Did you mean flux-schnell?"),
        ("/quota grant ana 5", "/quota grant is for a moderator of this workspace."),
    ],
)
async def test_a_mistake_in_a_command_is_refused_in_a_sentence(bench: Bench, typed_line: str, sentence: str) -> None:
    assert await expect_refusal(bench, typed_line) == sentence


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/a.png",
        "https://127.0.0.1/a.png",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a",
    ],
)
async def test_a_link_into_the_local_network_is_not_followed(bench: Bench, address: str) -> None:
    sentence = await expect_refusal(bench, f"/caption --image {address}")

    assert "link" in sentence or "address" in sentence


@pytest.mark.parametrize("host", ["xn--", "xn--a", "a..b", "a" * 64 + ".com", "\ud83d", "a:b"])
async def test_a_link_to_a_host_that_cannot_be_is_refused(bench: Bench, host: str) -> None:
    assert await expect_refusal(bench, f"/caption --image https://{host}/a.png") == "That is not an address I can read."


@pytest.mark.parametrize(
    "typed_line",
    [
        "/imagine half \ud83d fox",
        "/chat half \ud83d fox",
        "/chat hi --system half\ud83d",
        "/help half \ud83d fox",
        "/show \ud83d",
        "/models \ud83d",
        "/imagine fox --model \ud83d",
        "/words add \ud83d fox",
        "/audit \ud83d",
        "/quota show \ud83d",
    ],
)
async def test_half_an_emoji_is_replaced_wherever_a_person_types_it(
    bench: Bench, caplog: pytest.LogCaptureFixture, typed_line: str
) -> None:
    reply = await bench.say(typed_line, by=replace(ANA, name="half \ud83d", is_owner=True))

    texts = [message.reply.text for message in bench.platform.messages.values()] + ([reply.text] if reply else [])
    assert texts
    for text in texts:
        text.encode()  # raises for half an emoji
        assert "Something broke" not in text
    assert not any(record.exc_info for record in caplog.records)


def test_file_names_are_one_line_of_whole_characters() -> None:
    names = [make_attachment(b"", name=name).name for name in ("a\0b.png", "a\ud83d.png", "a\nb", "ok ä.png")]

    assert names == ["a\ufffdb.png", "a\ufffd.png", "a\ufffdb", "ok ä.png"]


@pytest.mark.parametrize("content", [b"", b"not a picture", b"GIF89a", make_png()[:40]])
async def test_a_file_without_a_picture_is_refused(bench: Bench, content: bytes) -> None:
    assert "picture" in await expect_refusal(bench, "/upscale", image=content)


def make_decompression_bomb() -> bytes:
    """Return a PNG of a few kilobytes with 169 megapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_a_decompression_bomb_is_not_opened(bench: Bench) -> None:
    assert "too many pixels" in await expect_refusal(bench, "/upscale", image=make_decompression_bomb())


async def test_a_file_too_large_is_not_read(bench: Bench) -> None:
    assert "MB" in await expect_refusal(bench, "/upscale", image=make_png() + b"\0" * (21 << 20))


async def test_a_refusal_for_lack_of_credits_shows_amount_and_refill(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=10)

    sentence = await expect_refusal(bench, "/imagine a fox --count 4")
    assert sentence == "You are 2 credits short. Ask a moderator for more."

    await bench.say("/imagine a fox --count 2")
    reply = await bench.say("/imagine a fox --count 2")
    assert reply is not None
    assert reply.text == "You are 2 credits short. They refill Friday at 00:00 UTC."
    await bench.close()


async def test_an_empty_budget_of_the_bot_refuses_all_jobs(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, monthly_budget_usd=0)

    sentence = await expect_refusal(bench, "/imagine a fox")

    assert sentence.startswith("The bot's monthly budget has no room for this: 3 credits short. Even all of it")
    await bench.close()


@pytest.mark.parametrize(
    ("scope", "scope_id", "key", "sentence"),
    [
        (
            "workspace",
            "page",
            "workspace_month_micros",
            "This workspace's budget has no room for this: 2 credits short.",
        ),
        ("workspace", "page", "user_day_micros", "Your budget has no room for this: 2 credits short."),
        ("user", "ana", "user_month_micros", "Your budget has no room for this: 2 credits short."),
        ("bot", "", "bot_month_micros", "The bot's monthly budget has no room for this: 2 credits short."),
    ],
)
async def test_the_tightest_limit_refuses_its_user(
    bench: Bench, scope: str, scope_id: str, key: str, sentence: str
) -> None:
    place = ("", "") if scope == "bot" else ("web", "page")
    async with bench.app.database.write() as tx:
        for micros in (50_000, 1_000):
            who = scope_id if micros == 1_000 else "somebody-else"
            await tx.policies.put(Policy(*place, scope, who if scope == "user" else scope_id, key, micros, BOT, NOW))

    assert (await expect_refusal(bench, "/imagine a fox")).startswith(sentence)


async def test_a_limit_of_another_user_has_no_effect(bench: Bench) -> None:
    async with bench.app.database.write() as tx:
        await tx.policies.put(Policy("web", "page", "user", "ben", "user_month_micros", 0, BOT, NOW))
        await tx.policies.put(Policy("web", "page", "role", "guests", "user_day_micros", 0, BOT, NOW))

    await bench.say("/imagine a fox")

    assert bench.last_message.reply.tone is Tone.DONE


async def test_a_limit_of_a_role_refuses_its_members(bench: Bench) -> None:
    async with bench.app.database.write() as tx:
        await tx.policies.put(Policy("web", "page", "role", "guests", "user_day_micros", 0, BOT, NOW))

    reply = await bench.say("/imagine a fox", by=replace(ANA, roles=frozenset({"guests"})))

    assert reply is not None
    assert reply.text.startswith("Your budget has no room for this: 3 credits short.")


async def test_a_raised_limit_holds_from_the_next_request(bench: Bench) -> None:
    for micros in (3_000, 9_000):
        async with bench.app.database.write() as tx:
            await tx.policies.put(
                Policy(
                    "web",
                    "page",
                    "workspace",
                    "page",
                    "workspace_month_micros",
                    micros,
                    BOT,
                    NOW,
                )
            )
        await bench.say("/imagine a fox")
        await bench.clock.advance(2)
    await bench.say("/imagine a fox")

    reply = await bench.say("/imagine a fox")

    assert len(bench.backend.runs) == 3
    assert reply is not None
    assert "has no room for this" in reply.text


async def test_an_unknown_workspace_gets_the_contact_of_the_owner(bench: Bench) -> None:
    stranger: User = replace(ANA, workspace="elsewhere")

    reply = await bench.say("/help", by=stranger)

    assert reply is not None
    assert reply.text == "This workspace is not on my list yet. Ask my owner to allow it, with /setup here: elsewhere."


@pytest.mark.parametrize(
    "error",
    [
        BackendDown("The model service cannot be reached."),
        BackendOutOfCredit("The owner has to look after the account."),
        BackendRefusedToken("The owner has to look after the token."),
    ],
)
async def test_a_refusal_by_the_backend_is_free(bench: Bench, error: BackendError) -> None:
    bench.backend.submit_error = error

    await bench.say("/imagine a fox")

    assert bench.last_text == f"⚠ {error}"
    assert [button.label for button in bench.last_message.reply.buttons] == ["Try again", "Delete"]
    assert await bench.balance() == bench.starting_credits
    assert await bench.list_open_holds() == []


async def test_a_throttled_job_waits_and_finishes(bench: Bench) -> None:
    bench.backend.submit_error = BackendBusy("The model service is busy.", retry_after_seconds=5)
    await bench.say("/imagine a fox")
    meanwhile = bench.last_message.reply.tone

    bench.backend.submit_error = None
    await bench.advance_time(30)

    assert (meanwhile, bench.last_message.reply.tone) == (Tone.WORKING, Tone.DONE)
    assert await bench.balance() == bench.starting_credits - 3_000


async def test_refused_words_and_paused_models_are_free(bench: Bench) -> None:
    async with bench.app.database.write() as tx:
        await tx.moderation.add_word("web", "page", "badg*", "mo")
        await tx.moderation.set_pause(PauseTarget(PauseKind.MODEL, "sdxl"), "it is being mended", "owner")

    assert await expect_refusal(bench, "/imagine two BADGERS") == (
        "That has a word in it which is not wanted here. Please say it differently."
    )
    assert await expect_refusal(bench, "/imagine a fox --model sdxl") == (
        "SDXL is paused at the moment: it is being mended. Please try again later."
    )


async def test_a_blocked_user_gets_the_end_of_the_block(bench: Bench) -> None:
    async with bench.app.database.write() as tx:
        await tx.people.set_block(ANA, bench.clock.now().replace(year=2027), "flooding")

    assert (await expect_refusal(bench, "/imagine a fox")).startswith(
        "You are blocked here until 01 January 2027, 00:00 UTC: flooding."
    )


async def test_a_stopping_bot_refuses_new_jobs(bench: Bench) -> None:
    await bench.app.drain()

    assert (
        await expect_refusal(bench, "/imagine a fox")
        == "I am restarting. Please ask again in a moment; nothing was charged."
    )
