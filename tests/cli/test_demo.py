"""`demo --once`: the commands of the README with the real sandbox."""

import os
import re
import subprocess
import sys
import wave
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from bot.cli import main
from bot.sandbox.server import SandboxOptions

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def chdir_to_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without .env, with models that take a twentieth of their time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bot.sandbox.server.SandboxOptions", partial(SandboxOptions, speed=0.05))
    (tmp_path / "plan.pdf").write_bytes(b"%PDF-1.7 a plan")


def test_pictures_are_drawn_upscaled_and_captioned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--once", "/imagine a lighthouse at dusk --seed 7", "--output", "out.png"]) == 0
    assert main(["demo", "--once", "/upscale --image out.png --scale 1.5", "--output", "big.png"]) == 0
    assert main(["demo", "--once", "/caption --image out.png"]) == 0

    with Image.open("out.png") as small, Image.open("big.png") as big:
        assert (small.size, big.size) == ((1024, 1024), (1536, 1536))
    output = capsys.readouterr().out
    assert "FLUX schnell · seed 7 · 1024×1024" in output
    assert "Measured, not recognised: a square PNG picture of 1024 × 1024 pixels" in output
    assert output.count("sandbox: rules, not AI") == 3


def test_words_are_spoken_and_a_sound_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--once", "/speak Hello, can you hear me?", "--output", "hello.wav"]) == 0
    assert main(["demo", "--once", "/transcribe --audio hello.wav"]) == 0
    line = f"/speak {'Hello, can you hear me? ' * 24} --model chatterbox-turbo"
    assert main(["demo", "--once", line, "--output", "long.wav"]) == 0

    with wave.open("hello.wav") as sound, wave.open("long.wav") as joined:
        assert sound.getnframes() > sound.getframerate()
        assert joined.getnframes() > 20 * sound.getnframes()
    output = capsys.readouterr().out
    assert "Measured, not recognised: 2.6 s of sound" in output
    assert "Chatterbox Turbo · 2 parts · 1:00" in output


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudoterminals")
def test_a_question_is_answered_at_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, terminal = os.openpty()
    with open(terminal) as typed, open(keyboard, "w") as keys:
        monkeypatch.setattr("sys.stdin", typed)
        keys.write("draw 2\n")
        keys.flush()
        assert main(["demo", "--once", "/imagine {red|blue} fox", "--output", "out.png"]) == 0

    assert [Path(f"out-{n}.png").exists() for n in range(1, 5)] == [True, True, True, False]
    output = capsys.readouterr().out
    assert "1 Draw 2 · 2 As one prompt · 3 No – type a number:" in output
    assert "FLUX schnell · 2 pictures · 6 credits" in output


def test_the_guide_answers_from_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    question = "how do I connect Slack?"
    Path("rows.csv").write_text(f"{question}\n" * 4_000)

    assert main(["demo", "--once", f"/chat {question} --file rows.csv"]) == 0

    output = capsys.readouterr().out
    assert re.search(r"read of rows.csv, lines 1 to [\d,]+ of 4,000", output)
    assert "not a language model" in output
    assert "“Connect Slack”" in output


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/imagine", "prompt is missing: What should the picture show?"),
        ("/imagin a fox", "There is no command called “imagin”. Did you mean imagine?"),
        ("/caption --image plan.pdf", "That is a PDF, not a picture I can read"),
        ("/caption --image nothere.png", "There is no file called nothere.png here."),
        ("/imagine fault:nsfw", "⚠ The model refused this as sensitive."),
    ],
)
def test_an_error_is_a_sentence_and_a_nonzero_code(
    line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--once", line]) == 1

    assert sentence in capsys.readouterr().err


def test_words_are_streamed() -> None:
    """A person sees the first words long before the last."""
    command = [sys.executable, "-m", "bot", "demo", "--once", "/chat how do I connect Replicate?"]
    pieces = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(4096):
            pieces.append(piece)

    assert process.returncode == 0
    assert len(pieces) > 5
    assert "Make a token" in b"".join(pieces).decode()
