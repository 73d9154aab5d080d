"""Commands on a terminal: the output, the written files, and the exit code."""

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

import pytest

from bot.core.errors import OutOfCredits
from bot.core.invocations import Invocation
from bot.core.platform import Destination
from bot.core.replies import Button, MessageRef, Picture, Progress, Reply, ResultFile, Stage, TextFile, Tone
from bot.dispatch.confirmation import CONFIRM, DECLINE
from bot.dispatch.dispatcher import format_error
from bot.media.recipes import GivenRecipe, find_given_recipe
from bot.platforms.console.platform import ConsolePlatform
from tests.fakes.backend import make_png
from tests.fakes.dispatcher import DispatcherScript, make_scripted_dispatcher

PNG = b"\x89PNG\r\n\x1a\n picture"


class Terminal(io.StringIO):
    """A stream with a chosen `isatty`."""

    def __init__(self, *, is_real: bool = False) -> None:
        super().__init__()
        self._is_real = is_real

    def isatty(self) -> bool:
        return self._is_real


@dataclass
class ConsoleBench:
    """`run` runs a line; a job posts and edits the replies of `shows` in turn."""

    folder: Path
    out: Terminal = field(default_factory=Terminal)
    err: Terminal = field(default_factory=Terminal)
    output: Path | None = None
    answers: TextIO | None = None
    script: DispatcherScript = field(default_factory=DispatcherScript)

    async def run(self, line: str, *shows: Reply) -> int:
        platform = ConsolePlatform(
            self.out, find_path=self.find_path, output=self.output, err=self.err, answers=self.answers
        )

        async def run_job(invocation: Invocation) -> None:
            destination = Destination(invocation.user, invocation.channel, invocation.request_key, "job:0")
            ref: MessageRef = await platform.post(destination, shows[0])
            for reply in shows[1:]:
                await platform.edit(ref, reply)

        if shows:
            self.script.answer = run_job
        return await platform.run_once(line, make_scripted_dispatcher(self.script))

    def find_path(self, sha256: str) -> Path | None:
        path = self.folder / sha256
        return path if path.exists() else None

    def pictures(self, count: int, mime: str = "image/png") -> tuple[Picture, ...]:
        for n in range(count):
            (self.folder / f"kept-{n}").write_bytes(PNG + bytes([n]))
        return tuple(Picture(f"kept-{n}", mime, 640, 480, "a fox", f"fox-{n + 1}.png") for n in range(count))


@pytest.fixture
def bench(tmp_path: Path) -> ConsoleBench:
    return ConsoleBench(tmp_path)


def build_working_reply(
    text: str = "", stage: Stage = Stage.RUNNING, percent: int | None = None, seconds: int = 0
) -> Reply:
    return Reply(text=text, progress=Progress(stage, percent, seconds, usual_seconds=8), tone=Tone.WORKING)


async def test_words_are_printed_as_they_arrive(bench: ConsoleBench) -> None:
    code = await bench.run(
        "/chat hello",
        build_working_reply(),
        build_working_reply("The sea"),
        build_working_reply("The sea is"),
        Reply("The sea is wide.", tone=Tone.DONE),
    )

    assert (code, bench.out.getvalue(), bench.err.getvalue()) == (0, "Working on it …\nThe sea is wide.\n", "")


async def test_words_without_a_slash_go_to_chat(bench: ConsoleBench) -> None:
    await bench.run("hello there", Reply("Hello.", tone=Tone.DONE))

    [invocation] = bench.script.invocations
    assert (invocation.command, dict(invocation.options)) == ("chat", {"message": "hello there"})


async def test_each_stage_is_printed_once_outside_a_terminal(bench: ConsoleBench) -> None:
    await bench.run(
        "/draw a fox",
        build_working_reply(stage=Stage.QUEUED),
        build_working_reply(percent=10),
        build_working_reply(percent=90),
        Reply("Done.", note="a model · 3 credits", tone=Tone.DONE),
    )

    assert bench.out.getvalue() == "Waiting in line …\nWorking on it …\nDone.\na model · 3 credits\n"


async def test_progress_is_a_changing_line_on_a_terminal(bench: ConsoleBench) -> None:
    bench.out = Terminal(is_real=True)

    await bench.run(
        "/draw a fox",
        build_working_reply(percent=10, seconds=1),
        build_working_reply(percent=90, seconds=7),
        Reply("Done."),
    )

    shown = bench.out.getvalue()
    assert shown.count("\n") == 1
    assert "\r\x1b[2KWorking on it 90 % · 7 s of usually 8 s\r\x1b[2KDone.\n" in shown


async def test_a_picture_is_written_to_the_output_path(bench: ConsoleBench) -> None:
    bench.output = bench.folder / "out.png"

    code = await bench.run("/draw a fox", build_working_reply(), Reply(pictures=bench.pictures(1), tone=Tone.DONE))

    assert code == 0
    assert bench.output.read_bytes() == PNG + b"\x00"
    assert f"→ {bench.output} (640×480, 1 kB)\n" in bench.out.getvalue()


async def test_a_written_picture_says_how_it_was_made(bench: ConsoleBench) -> None:
    bench.output = bench.folder / "out.png"
    [picture] = bench.pictures(1)
    (bench.folder / picture.sha256).write_bytes(make_png())

    await bench.run("/draw a fox", Reply(pictures=(replace(picture, recipe="a fox\nSeed: 5"),), tone=Tone.DONE))

    assert find_given_recipe(bench.output.read_bytes()) == GivenRecipe("a fox", seed=5)


async def test_several_pictures_are_numbered(bench: ConsoleBench) -> None:
    bench.output = bench.folder / "out.png"

    await bench.run("/draw a fox", Reply(pictures=bench.pictures(2), tone=Tone.DONE))

    written = {file.name: file.read_bytes() for file in bench.folder.glob("out*")}
    assert written == {"out-1.png": PNG + b"\x00", "out-2.png": PNG + b"\x01"}


async def test_a_mismatch_of_format_and_suffix_is_reported(bench: ConsoleBench) -> None:
    bench.output = bench.folder / "out.png"

    await bench.run("/draw a fox", Reply(pictures=bench.pictures(1, "image/webp"), tone=Tone.DONE))

    assert "a WebP file, whatever its name says" in bench.out.getvalue()


async def test_a_picture_without_an_output_path_is_reported(bench: ConsoleBench) -> None:
    await bench.run("/draw a fox", Reply(pictures=bench.pictures(1), tone=Tone.DONE))

    assert bench.out.getvalue() == "Made fox-1.png. Add --output NAME to keep it.\n"


async def test_an_unwritable_output_path_fails_with_a_sentence(bench: ConsoleBench) -> None:
    bench.output = bench.folder / "nowhere" / "out.png"

    code = await bench.run("/draw a fox", Reply(pictures=bench.pictures(1), tone=Tone.DONE))

    assert (code, bench.err.getvalue()) == (1, f"I cannot write {bench.output}: No such file or directory.\n")


async def test_a_local_file_is_attached(bench: ConsoleBench) -> None:
    file = bench.folder / "in.png"
    file.write_bytes(PNG)

    await bench.run(f"/draw more --image {file}", Reply("Done."))

    [invocation] = bench.script.invocations
    attached = invocation.attachments["image"]
    assert (attached.name, attached.mime, attached.size_bytes) == ("in.png", "image/png", len(PNG))
    assert await attached.read() == PNG
    assert "image" not in invocation.options


async def test_a_link_stays_a_link(bench: ConsoleBench) -> None:
    await bench.run("/draw more --image https://example.org/fox.png", Reply("Done."))

    [invocation] = bench.script.invocations
    assert (invocation.options["image"], invocation.attachments) == ("https://example.org/fox.png", {})


@pytest.fixture
def typed() -> Iterator[tuple[TextIO, TextIO]]:
    """Return a terminal, and the keyboard of the terminal."""
    keyboard, terminal = os.openpty()
    with open(terminal) as read, open(keyboard, "w") as write:
        yield read, write


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudoterminals")
@pytest.mark.parametrize(
    ("lines", "pressed"),
    [("1\n", "Draw 6"), ("as one PROMPT\n", "As one prompt"), ("6\n\n3\n", "No"), ("\x04", "No")],
)
async def test_a_question_is_answered_by_a_typed_line(
    bench: ConsoleBench, typed: tuple[TextIO, TextIO], lines: str, pressed: str
) -> None:
    buttons = (Button(CONFIRM, "Draw 6", "q1"), Button(CONFIRM, "As one prompt", "q1", 1), Button(DECLINE, "No", "q1"))
    bench.answers, keyboard = typed
    bench.script.press_reply = Reply("Done.", tone=Tone.DONE)
    keyboard.write(lines)
    keyboard.flush()

    code = await bench.run("/draw foxes", Reply("Go ahead?", buttons=buttons))

    (press,) = bench.script.presses
    (wanted,) = (button for button in buttons if button.label == pressed)
    assert (press.action, press.job_id, press.n) == (wanted.action, "q1", wanted.n)
    asked = "1 Draw 6 · 2 As one prompt · 3 No – type a number:\n" * max(1, lines.count("\n"))
    assert bench.out.getvalue() == f"Go ahead?\n{asked}Done.\n"
    assert code == 0


async def test_a_question_in_a_script_ends_the_command(bench: ConsoleBench) -> None:
    buttons = (Button(CONFIRM, "Draw 6", "q1"), Button(DECLINE, "No", "q1"))

    code = await bench.run("/draw foxes", Reply("Go ahead?", buttons=buttons))

    assert (code, bench.out.getvalue(), bench.script.presses) == (0, "Go ahead?\n", [])


async def refuse(_: Invocation) -> Reply:
    return format_error(OutOfCredits(missing="4.2 credits", refill_time="", available_micros=0))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/draw more --image nothing.png", "There is no file called nothing.png here."),
        ("/drow a fox", "There is no command called “drow”. Did you mean draw?"),
        ("/draw a fox", "You are 4.2 credits short. Ask a moderator for more."),
    ],
)
async def test_an_error_is_a_sentence_on_the_error_stream(bench: ConsoleBench, line: str, sentence: str) -> None:
    bench.script.answer = refuse

    code = await bench.run(line)

    assert (code, bench.err.getvalue(), bench.out.getvalue()) == (1, f"{sentence}\n", "")


async def test_an_interrupted_answer_keeps_the_words_and_reports_the_error(bench: ConsoleBench) -> None:
    code = await bench.run(
        "/chat hello",
        build_working_reply(),
        build_working_reply("The sea is"),
        Reply("The sea is\n\n⚠ The line broke.", tone=Tone.ERROR),
    )

    assert code == 1
    assert bench.out.getvalue().endswith("The sea is\n")
    assert bench.err.getvalue() == "⚠ The line broke.\n"


async def test_a_direct_reply_is_shown_at_once(bench: ConsoleBench) -> None:
    async def help_(_: Invocation) -> Reply:
        return Reply("Here is how.")

    bench.script.answer = help_

    assert (await bench.run("/draw a fox"), bench.out.getvalue()) == (0, "Here is how.\n")


@pytest.mark.parametrize("output", ["", "a.csv", "none/a.csv"])
async def test_a_text_file_is_written_or_printed(bench: ConsoleBench, output: str) -> None:
    bench.output = bench.folder / output if output else None
    table = TextFile("quota.csv", "text/csv", "name,credits\r\nAna,3\r\n")

    code = await bench.run("/draw a fox", Reply("1 jobs.", tone=Tone.DONE, files=(table,)))

    if output == "a.csv":
        assert (bench.folder / output).read_bytes() == table.text.encode()
        assert bench.out.getvalue().endswith("a.csv (1 kB)\n")
    elif output:
        assert (code, "I cannot write" in bench.err.getvalue()) == (1, True)
    else:
        assert bench.out.getvalue() == "1 jobs.\nname,credits\r\nAna,3\n"


async def test_a_sound_is_written_with_its_length(tmp_path: Path) -> None:
    console = ConsoleBench(tmp_path, output=tmp_path / "shanty.mp3")
    (tmp_path / "kept").write_bytes(b"sound")
    sound = ResultFile("kept", "audio/wav", "shanty.wav", 5, duration_seconds=72)

    code = await console.run("a shanty", Reply(result_files=(sound,), tone=Tone.DONE))

    assert code == 0
    assert (tmp_path / "shanty.mp3").read_bytes() == b"sound"
    assert console.out.getvalue() == (
        f"→ {tmp_path / 'shanty.mp3'} (1:12, 1 kB) — a WAV file, whatever its name says\n"
    )


ODD = "a\x1b[2J\x1b]0;owned\x07 \x9b31m\x00fox\u202e \udcff\u2028 over\rwritten"
CLEAN = "a\ufffd[2J\ufffd]0;owned\ufffd \ufffd31m\ufffdfox\ufffd \ufffd\ufffd overwritten"


async def test_a_models_control_characters_never_reach_the_terminal(bench: ConsoleBench) -> None:
    (bench.folder / "kept").write_bytes(PNG)
    picture = Picture("kept", "image/png", 640, 480, ODD, f"{ODD}.png")
    file = TextFile("a.csv", "text/csv", f"{ODD}\r\nAna")

    code = await bench.run(
        "/chat hi",
        build_working_reply(ODD),
        build_working_reply(f"{ODD}\r"),
        Reply(text=f"{ODD}\r\n{ODD}", tone=Tone.DONE, pictures=(picture,), files=(file,), note=ODD),
    )

    assert code == 0
    assert bench.out.getvalue() == (
        f"{CLEAN}\r\n{CLEAN}\nMade {CLEAN}.png. Add --output NAME to keep it.\n{CLEAN}\r\nAna\n{CLEAN}\n"
    )


async def test_a_models_error_is_cleaned_for_the_terminal(bench: ConsoleBench) -> None:
    code = await bench.run("/chat hi", Reply(text=f"The model failed: {ODD}.", tone=Tone.ERROR))

    assert (code, bench.err.getvalue()) == (1, f"The model failed: {CLEAN}.\n")
