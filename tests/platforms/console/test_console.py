"""One command on a terminal: what a person sees, the files they get, and the exit code."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.core.errors import OutOfCredits
from bot.core.invocations import Invocation
from bot.core.platform import Destination
from bot.core.replies import MessageRef, Picture, Progress, Reply, Stage, TextFile, Tone
from bot.dispatch.dispatcher import format_error
from bot.platforms.console.platform import ConsolePlatform
from tests.fakes.dispatcher import DispatcherScript, make_scripted_dispatcher

PNG = b"\x89PNG\r\n\x1a\n picture"


class Terminal(io.StringIO):
    """A stream that says whether it is a real terminal."""

    def __init__(self, *, is_real: bool = False) -> None:
        super().__init__()
        self._is_real = is_real

    def isatty(self) -> bool:
        return self._is_real


@dataclass
class ConsoleBench:
    """`run` does a line; each reply of `shows` is posted or edited in turn, as a job would."""

    folder: Path
    out: Terminal = field(default_factory=Terminal)
    err: Terminal = field(default_factory=Terminal)
    output: Path | None = None
    script: DispatcherScript = field(default_factory=DispatcherScript)

    async def run(self, line: str, *shows: Reply) -> int:
        console = ConsolePlatform(self.out, path_of=self.path_of, output=self.output, err=self.err)

        async def job(invocation: Invocation) -> None:
            destination = Destination(invocation.user, invocation.channel, invocation.request_key, "job:0")
            ref: MessageRef = await console.post(destination, shows[0])
            for reply in shows[1:]:
                await console.edit(ref, reply)

        if shows:
            self.script.answer = job
        return await console.run_once(line, make_scripted_dispatcher(self.script))

    def path_of(self, sha256: str) -> Path | None:
        path = self.folder / sha256
        return path if path.exists() else None

    def pictures(self, count: int, mime: str = "image/png") -> tuple[Picture, ...]:
        for n in range(count):
            (self.folder / f"kept-{n}").write_bytes(PNG + bytes([n]))
        return tuple(Picture(f"kept-{n}", mime, 640, 480, "a fox", f"fox-{n + 1}.png") for n in range(count))


@pytest.fixture
def desk(tmp_path: Path) -> ConsoleBench:
    return ConsoleBench(tmp_path)


def build_working_reply(
    text: str = "", stage: Stage = Stage.RUNNING, percent: int | None = None, seconds: int = 0
) -> Reply:
    return Reply(text=text, progress=Progress(stage, percent, seconds, usual_seconds=8), tone=Tone.WORKING)


async def test_words_are_printed_as_they_come(desk: ConsoleBench) -> None:
    code = await desk.run(
        "/chat hello",
        build_working_reply(),
        build_working_reply("The sea"),
        build_working_reply("The sea is"),
        Reply("The sea is wide.", tone=Tone.DONE),
    )

    assert (code, desk.out.getvalue(), desk.err.getvalue()) == (0, "Working on it …\nThe sea is wide.\n", "")


async def test_words_without_a_slash_are_for_chat(desk: ConsoleBench) -> None:
    await desk.run("hello there", Reply("Hello.", tone=Tone.DONE))

    [asked] = desk.script.invocations
    assert (asked.command, dict(asked.options)) == ("chat", {"message": "hello there"})


async def test_each_stage_is_told_once_where_lines_stay(desk: ConsoleBench) -> None:
    await desk.run(
        "/draw a fox",
        build_working_reply(stage=Stage.QUEUED),
        build_working_reply(percent=10),
        build_working_reply(percent=90),
        Reply("Done.", note="a model · 3 credits", tone=Tone.DONE),
    )

    assert desk.out.getvalue() == "Waiting in line …\nWorking on it …\nDone.\na model · 3 credits\n"


async def test_progress_is_one_living_line_on_a_real_terminal(desk: ConsoleBench) -> None:
    desk.out = Terminal(is_real=True)

    await desk.run(
        "/draw a fox",
        build_working_reply(percent=10, seconds=1),
        build_working_reply(percent=90, seconds=7),
        Reply("Done."),
    )

    shown = desk.out.getvalue()
    assert shown.count("\n") == 1
    assert "\r\x1b[2KWorking on it 90 % · 7 s of usually 8 s\r\x1b[2KDone.\n" in shown


async def test_one_picture_is_written_where_it_was_asked_for(desk: ConsoleBench) -> None:
    desk.output = desk.folder / "out.png"

    code = await desk.run("/draw a fox", build_working_reply(), Reply(pictures=desk.pictures(1), tone=Tone.DONE))

    assert code == 0
    assert desk.output.read_bytes() == PNG + b"\x00"
    assert f"→ {desk.output} (640×480, 1 kB)\n" in desk.out.getvalue()


async def test_several_pictures_are_numbered(desk: ConsoleBench) -> None:
    desk.output = desk.folder / "out.png"

    await desk.run("/draw a fox", Reply(pictures=desk.pictures(2), tone=Tone.DONE))

    written = {file.name: file.read_bytes() for file in desk.folder.glob("out*")}
    assert written == {"out-1.png": PNG + b"\x00", "out-2.png": PNG + b"\x01"}


async def test_a_file_of_another_kind_than_its_name_is_told(desk: ConsoleBench) -> None:
    desk.output = desk.folder / "out.png"

    await desk.run("/draw a fox", Reply(pictures=desk.pictures(1, "image/webp"), tone=Tone.DONE))

    assert "a WebP file, whatever its name says" in desk.out.getvalue()


async def test_a_picture_nobody_keeps_is_told(desk: ConsoleBench) -> None:
    await desk.run("/draw a fox", Reply(pictures=desk.pictures(1), tone=Tone.DONE))

    assert desk.out.getvalue() == "Made fox-1.png. Add --output NAME to keep it.\n"


async def test_a_picture_that_cannot_be_written_fails_in_a_sentence(desk: ConsoleBench) -> None:
    desk.output = desk.folder / "nowhere" / "out.png"

    code = await desk.run("/draw a fox", Reply(pictures=desk.pictures(1), tone=Tone.DONE))

    assert (code, desk.err.getvalue()) == (1, f"I cannot write {desk.output}: No such file or directory.\n")


async def test_a_local_file_is_attached(desk: ConsoleBench) -> None:
    file = desk.folder / "in.png"
    file.write_bytes(PNG)

    await desk.run(f"/draw more --image {file}", Reply("Done."))

    [asked] = desk.script.invocations
    attached = asked.attachments["image"]
    assert (attached.name, attached.mime, attached.size_bytes) == ("in.png", "image/png", len(PNG))
    assert await attached.read() == PNG
    assert "image" not in asked.options


async def test_a_link_stays_a_link(desk: ConsoleBench) -> None:
    await desk.run("/draw more --image https://example.org/fox.png", Reply("Done."))

    [asked] = desk.script.invocations
    assert (asked.options["image"], asked.attachments) == ("https://example.org/fox.png", {})


async def refuse(_: Invocation) -> Reply:
    return format_error(OutOfCredits(missing_credits="4.2", refill_time="", available_micros=0))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/draw more --image nothing.png", "There is no file called nothing.png here."),
        ("/drow a fox", "There is no command called “drow”. Did you mean draw?"),
        ("/draw a fox", "You are 4.2 credits short. Ask a moderator for more."),
    ],
)
async def test_an_error_is_one_sentence_on_the_error_stream(desk: ConsoleBench, line: str, told: str) -> None:
    desk.script.answer = refuse

    code = await desk.run(line)

    assert (code, desk.err.getvalue(), desk.out.getvalue()) == (1, f"{told}\n", "")


async def test_a_cut_answer_keeps_its_words_and_tells_why_apart(desk: ConsoleBench) -> None:
    code = await desk.run(
        "/chat hello",
        build_working_reply(),
        build_working_reply("The sea is"),
        Reply("The sea is\n\n⚠ The line broke.", tone=Tone.ERROR),
    )

    assert code == 1
    assert desk.out.getvalue().endswith("The sea is\n")
    assert desk.err.getvalue() == "⚠ The line broke.\n"


async def test_what_needs_no_job_is_shown_at_once(desk: ConsoleBench) -> None:
    async def help_(_: Invocation) -> Reply:
        return Reply("Here is how.")

    desk.script.answer = help_

    assert (await desk.run("/draw a fox"), desk.out.getvalue()) == (0, "Here is how.\n")


@pytest.mark.parametrize("output", ["", "a.csv", "none/a.csv"])
async def test_a_table_is_written_or_shown(desk: ConsoleBench, output: str) -> None:
    desk.output = desk.folder / output if output else None
    table = TextFile("quota.csv", "text/csv", "name,credits\r\nAna,3\r\n")

    code = await desk.run("/draw a fox", Reply("1 jobs.", tone=Tone.DONE, files=(table,)))

    if output == "a.csv":
        assert (desk.folder / output).read_bytes() == table.text.encode()
        assert desk.out.getvalue().endswith("a.csv (1 kB)\n")
    elif output:
        assert (code, "I cannot write" in desk.err.getvalue()) == (1, True)
    else:
        assert desk.out.getvalue() == "1 jobs.\nname,credits\r\nAna,3\n"
