"""Messages without a slash: the command, the files, and the users of a conversation."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomlkit
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.catalogue.loading import BUILT_IN_PATH
from bot.commands import MENU
from bot.commands.chat import Chat
from bot.core.errors import BadFile, BadOption
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, EarlierMessage, Invocation, TurnRole
from bot.core.limits import MAX_PDF_CHARACTERS
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.plain_text import invocation_from_text, may_continue_conversation, parse_plain_text
from tests.bench import Bench, make_attachment
from tests.certificates import make_contexts
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, get_text
from tests.jobs.webhook_site import make_fetcher
from tests.media.pdf_files import make_pdf

NOTES = make_attachment(b"buy milk", "notes.txt", "text/plain")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("imagine a red fox --count 2", "imagine"),
        ("/imagine a red fox", "imagine"),
        ("usage", "usage"),
        ("usage --period today", "usage"),
        ("help me with my taxes", "chat"),
        ("show me the way", "chat"),
        ("what is a fox?", "chat"),
        ("caption", "chat"),
        ("imagine: a red fox", "imagine"),
        ("Imagine : a red fox", "imagine"),
        ("imagine a red fox —seed 4", "imagine"),
        ("upscale", "upscale"),
        ("upscale https://example.org/a.png", "upscale"),
        ("upscale my salary", "chat"),
        ("Imagine a fox", "chat"),
        ("Imagine you are a pirate. How would you greet me?", "chat"),
        ("imagine a castle —ruined— at night", "chat"),
        ("Caption ideas for my holiday photo", "chat"),
        ("Chat GPT or you, who is better?", "chat"),
        ("Words add meaning to a picture. Do you agree?", "chat"),
        ("Help: my cat is ill", "chat"),
        ("Show: a list of foxes", "chat"),
        ("models of the year", "chat"),
        ("privacy delete", "privacy delete"),
        ("privacy delete is a right", "chat"),
        ("quota show ana", "chat"),
        ("settings show", "chat"),
        ("settings general --language German", "chat"),
        ("pause", "chat"),
        ("/quota show ana", "quota show"),
        ("/words add meaning", "words add"),
        ("words add: meaning", "chat"),
        ("block ana --reason spam", "chat"),
    ],
)
def test_text_is_the_command_at_its_beginning(text: str, command: str) -> None:
    assert parse_plain_text(text, [form for form in MENU if form.declaration.name != "caption"]).command == command


def test_talk_keeps_every_word() -> None:
    text = "Chat GPT or you, who is better?"

    assert parse_plain_text(text, MENU).options == {"message": text}
    assert parse_plain_text("chat: who is better?", MENU).options == {"message": "who is better?"}


def test_a_picture_with_the_text_makes_the_command_certain() -> None:
    assert parse_plain_text("caption the smallest bird", MENU, given={MediaKind.PICTURE}).command == "caption"
    assert parse_plain_text("imagine a fox in this style", MENU, given={MediaKind.PICTURE}).command == "imagine"
    assert parse_plain_text("Chat GPT or you, who is better?", MENU, given={MediaKind.PICTURE}).options == {
        "message": "Chat GPT or you, who is better?"
    }


def test_plain_words_are_never_searched_for_options() -> None:
    assert parse_plain_text("what does --count do?", MENU).options == {"message": "what does --count do?"}


async def test_talk_that_may_have_been_a_drawing_offers_to_draw(bench: Bench) -> None:
    for n, text in enumerate(("Imagine you are a pirate. How would you greet me?", "Caption ideas for my photo")):
        call = await invocation_from_text(bench.app.dispatcher.services, ANA, CHANNEL, text, f"web:{n}")
        await bench.app.dispatcher.handle(call)
        await bench.wait_until_idle()
    answers = list(bench.platform.messages.values())[-2:]
    await bench.press("draw", on=answers[0])

    labels = [[button.label for button in answer.reply.buttons] for answer in answers]
    assert ["Draw it instead" in label for label in labels] == [True, False]
    assert bench.backend.last_run.inputs["prompt"] == "you are a pirate. How would you greet me?"
    assert bench.backend.last_run.model.task == "imagine"


async def test_a_text_file_joins_the_message(bench: Bench) -> None:
    invocation = await invocation_from_text(
        bench.app.dispatcher.services, ANA, CHANNEL, "sum this up", "web:1", files=[NOTES]
    )

    assert invocation.options["message"] == "sum this up\n\nnotes.txt:\n```\nbuy milk\n```"


@pytest.mark.parametrize("sees", [True, False])
async def test_a_quoted_picture_goes_to_a_model_that_sees_or_is_told(tmp_path: Path, sees: bool) -> None:
    blind = tmp_path / "blind.toml"
    tables = tomllib.loads(BUILT_IN_PATH.read_text(encoding="utf-8"))
    blind.write_text(tomlkit.dumps({name: table for name, table in tables.items() if name == "llama-3-8b"}))
    bench = await Bench.open(tmp_path / "data", catalogue_path=None if sees else blind)
    fox = make_attachment(make_png(), "fox.png")

    call = await invocation_from_text(
        bench.app.dispatcher.services,
        ANA,
        CHANNEL,
        "where is that?",
        "web:1",
        quoted_words="A hill.",
        quoted_files=[fox],
    )
    await bench.close()

    told = "" if sees else "\n\n(A picture belongs to this, which you cannot see: fox.png)"
    assert call.options["message"] == f"where is that?\n\nA hill.{told}"
    assert call.attachments == ({"image": fox} if sees else {})


async def read_files(bench: Bench, words: str, **files: str) -> Invocation:
    """Return the question of words with text files, named as in `server_log`."""
    given = [make_attachment(text.encode(), name.replace("_", "."), "text/plain") for name, text in files.items()]
    return await invocation_from_text(bench.app.dispatcher.services, ANA, CHANNEL, words, "web:1", files=given)


async def test_each_line_of_a_text_file_is_a_prompt(bench: Bench) -> None:
    prompts = make_attachment(b"a fox\na hare\n", "prompts.txt", "text/plain")
    services = bench.app.dispatcher.services

    invocation = await invocation_from_text(services, ANA, CHANNEL, "imagine: an owl", "web:1", files=[prompts])
    question = await bench.app.dispatcher.handle(invocation)

    assert (invocation.command, dict(invocation.attachments)) == ("imagine", {})
    assert question is not None
    assert question.text.splitlines()[1:] == ["1. an owl", "2. a fox", "3. a hare"]


async def test_of_long_text_files_the_first_lines_are_read_and_the_rest_is_named(bench: Bench) -> None:
    rows = "\n".join(f"{n},fox" for n in range(4_000))

    call = await read_files(bench, "why?", notes_md="# Foxes\n```\ncode\n```", server_csv=rows, more_json="x" * 20_000)
    await bench.app.dispatcher.handle(call)
    await bench.wait_until_idle()

    message = str(call.options["message"])
    assert "notes.md:\n````\n# Foxes\n```\ncode\n```\n````" in message
    heads = re.findall(
        r"^(server.csv, lines 1 to ([\d,]+) of 4,000|more.json, the beginning of line 1 of 1):$", message, re.M
    )
    assert len(heads) == 2
    last = int(heads[0][1].replace(",", "")) - 1
    assert f"\n{last},fox\n```" in message
    assert f"{last + 1},fox" not in message
    assert 15_000 < len(message) <= 16_000
    assert bench.last_message.reply.note.endswith(f"read of {heads[0][0]} · read of {heads[1][0]}")


async def test_a_command_reads_the_same_files_as_a_message(bench: Bench) -> None:
    rows = "\n".join(f"{n},fox" for n in range(4_000))
    pages = make_pdf(["A hen.", "x" * MAX_PDF_CHARACTERS])
    files = [
        make_attachment(make_png(), "fox.png"),
        make_attachment(pages, "plan", "application/octet-stream"),
        make_attachment(b"fun main() {}", "main.kt", "application/octet-stream"),
        make_attachment(rows.encode(), "rows.csv", "text/csv"),
    ]
    services = bench.app.dispatcher.services
    mention = await invocation_from_text(services, ANA, CHANNEL, "compare", "web:1", files=files)

    await bench.invoke(Chat(message="compare", images=(files[1],), files=(files[0], *files[2:])))

    message = str((await bench.get_job()).options["message"])
    assert message == mention.options["message"]
    assert "plan, pages 1 to 1 of 2:\n```\nA hen.\n```" in message
    assert "main.kt:\n```\nfun main() {}\n```" in message
    assert len(bench.backend.last_run.pictures) == 1
    assert bench.last_message.reply.note.endswith(mention.remark)
    assert re.fullmatch(r"read of plan, pages 1 to 1 of 2 · read of rows.csv, lines 1 to .* of 4,000", mention.remark)


async def test_a_command_reads_a_file_that_waits_for_a_confirmation(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 0.1", by=MODERATOR)
    question = await bench.invoke(Chat(message="sum this up", files=(NOTES,)))

    assert question is not None
    await bench.app.dispatcher.handle_press(ButtonPress(ANA, CHANNEL, "confirm", question.buttons[0].job, 0, "p", ""))
    await bench.wait_until_idle()

    assert "sum this up\n\nnotes.txt:\n```\nbuy milk\n```" in bench.backend.last_run.words


async def test_a_linked_file_is_read_beside_a_linked_picture(tmp_path: Path) -> None:
    files = {"fox.png": make_png(), "a/plan b.md": b"# Foxes"}

    async def serve(request: web.Request) -> web.Response:
        content = files.get(request.match_info["path"])
        return web.Response(body=content, status=200 if content else 404)

    site = web.Application()
    site.router.add_get("/{path:.*}", serve)
    server_tls, client_tls = make_contexts(tmp_path, "files.example")
    server = TestServer(site)
    await server.start_server(ssl=server_tls)
    address = f"https://files.example:{server.port}"
    bench = await Bench.open(tmp_path / "data", fetcher=make_fetcher(server.port or 0, client_tls))
    await bench.say(f"/chat compare --image {address}/fox.png --file {address}/a/plan%20b.md")
    gone = await bench.say(f"/chat compare --file {address}/gone.txt")
    run = bench.backend.last_run
    await bench.close()
    await server.close()

    assert "compare\n\nplan b.md:\n```\n# Foxes\n```" in run.words
    assert len(run.pictures) == 1
    assert get_text(gone) == "There is no file at that address."


async def test_text_files_without_room_beside_the_words_are_named(bench: Bench) -> None:
    with pytest.raises(
        BadFile, match="server.log and your words have 3[56],... characters together: a message takes at"
    ):
        await read_files(bench, "why? " * 3_190, server_log="x" * 20_000)


async def test_the_first_picture_fills_the_file_option(bench: Bench) -> None:
    fox = make_attachment(make_png(), "fox.png")

    invocation = await invocation_from_text(
        bench.app.dispatcher.services, ANA, CHANNEL, "caption", "web:1", files=[fox]
    )

    assert (invocation.command, invocation.attachments) == ("caption", {"image": fox})


async def test_a_picture_without_words_gets_a_question(bench: Bench) -> None:
    invocation = await invocation_from_text(
        bench.app.dispatcher.services, ANA, CHANNEL, "", "web:1", files=[make_attachment(make_png())]
    )

    assert invocation.options == {"message": "What does this picture show?"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "You did not say anything"),
        (
            [make_attachment(b"PK", "a.zip", "application/zip")],
            "I cannot read a.zip: I read pictures, PDFs and text",
        ),
        (
            [make_attachment(b"x", "a.log", "text/plain", size=2_000_000)],
            "a.log is too long: I read text files of up to 1 MB.",
        ),
        ([make_attachment(b"\xff\xfe\x00", "a.txt", "text/plain")], "a.txt is not written in UTF-8"),
        ([make_attachment(b"a\0b", "a.py", "text/x-python")], "a.py holds no text, whatever its name says. Send"),
        (
            [make_attachment(make_pdf([""]), "a.pdf", "application/pdf")],
            "a.pdf has no text: it is a scan or pictures alone",
        ),
        ([make_attachment(b" \n", "a.csv", "text/csv")], "a.csv is empty. Send a file with words in it."),
        (
            [make_attachment(b"\0\1", "a", "application/octet-stream")],
            "I cannot read a: I read pictures, PDFs and text",
        ),
    ],
)
async def test_an_unreadable_file_is_refused(bench: Bench, files: list[Attachment], sentence: str) -> None:
    with pytest.raises((BadFile, BadOption), match=sentence):
        await invocation_from_text(bench.app.dispatcher.services, ANA, CHANNEL, "", "web:1", files=files)

    refusal = await bench.invoke(Chat(message="", files=tuple(files)))

    assert files == [] or get_text(refusal).startswith(sentence)
    assert bench.backend.runs == {}


async def test_earlier_messages_of_a_thread_are_read_once(bench: Bench) -> None:
    services = bench.app.dispatcher.services
    earlier = (EarlierMessage(TurnRole.USER, "web:ola", "My cat is called Miso.", "m1"),)

    for n, words in enumerate(("What is my cat called?", "And what does it like?")):
        call = await invocation_from_text(services, ANA, CHANNEL, words, f"web:{n}", earlier=earlier)
        await bench.app.dispatcher.handle(call)
        await bench.wait_until_idle()

    prompts = [str(run.inputs["messages"]) for run in bench.backend.runs.values()]
    assert [prompt.count("My cat is called Miso.") for prompt in prompts] == [1, 1]


async def test_the_join_setting_decides_between_the_starter_and_all_users(bench: Bench) -> None:
    await bench.say("/chat hello")
    conversation = await bench.app.dispatcher.services.conversations.get_current(CHANNEL)

    assert conversation is not None
    assert may_continue_conversation(conversation, ANA, "starter")
    assert not may_continue_conversation(conversation, replace(ANA, id="ola"), "starter")
    assert may_continue_conversation(conversation, replace(ANA, id="ola"), "everyone")
