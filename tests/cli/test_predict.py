"""The verb `predict`, against a sandbox: inputs by the schema, files both ways, and refusals before money is spent."""

import signal
from pathlib import Path

import pytest

from bot.backends.predictions import CogPrediction
from bot.backends.replicate.client import ReplicateClient
from bot.cli import main
from tests.cli.terminal import OwnerTerminal
from tests.fakes.backend import make_png

FLUX = "black-forest-labs/flux-schnell"
BLIP = "salesforce/blip"
UPSCALER = "nightmareai/real-esrgan"
LLAMA = "meta/meta-llama-3-8b-instruct"


def test_files_are_written_with_numbers_and_the_ending_of_their_bytes(owner: OwnerTerminal) -> None:
    written = owner.run(f"predict {FLUX} -i prompt=fox -i num_outputs=2 -i output_format=png --output fox")

    assert written == "fox-1.png\nfox-2.png\n"
    assert Path("fox-1.png").read_bytes().startswith(b"\x89PNG")
    assert Path("fox-1.png").read_bytes() != Path("fox-2.png").read_bytes()


def test_a_file_of_this_machine_is_sent_and_a_text_comes_back(owner: OwnerTerminal) -> None:
    Path("small.png").write_bytes(make_png())
    Path("large.png").write_bytes(make_png(700, 700) + bytes(300_000))

    assert owner.run(f"predict {BLIP} -i image=@small.png").startswith("Caption: ")
    assert owner.run(f"predict {BLIP} -i image=@large.png -i task=image_captioning -o words.txt") == "words.txt\n"
    assert Path("words.txt").read_text(encoding="utf-8").startswith("Caption: ")
    assert owner.run(f"predict {UPSCALER} -i image=@small.png -i scale=2 -o big.png") == "big.png\n"


def test_an_output_without_a_file_name_is_addresses_and_a_language_model_s_words(owner: OwnerTerminal) -> None:
    shown = owner.run(f"predict {FLUX} -i prompt=fox")
    said = owner.run(f"predict {LLAMA} -i prompt=hello")

    assert shown.startswith("http://127.0.0.1:")
    assert "Replicate keeps the files for an hour" in shown
    assert said.strip()
    assert "http" not in said


REFUSED = [
    ("no/such -i prompt=fox", "Replicate shows this token no model no/such."),
    (f"{FLUX} -i prompt", "“prompt” is no NAME=VALUE."),
    (f"{FLUX} -i promt=fox", "Did you mean prompt?"),
    (f"{FLUX}", "The model needs prompt: give -i prompt=…"),
    (f"{FLUX} -i prompt=fox -i prompt=hare", "You gave prompt 2 times, and the model takes 1."),
    (f"{FLUX} -i prompt=fox -i num_outputs=9", "num_outputs"),
    (f"{FLUX} -i prompt=fox -i aspect_ratio=7:1", "aspect_ratio must be one of"),
    (f"{BLIP} -i image=@nothing.png", "No such file or directory: nothing.png"),
]


def test_a_wrong_input_is_one_sentence_and_no_run(owner: OwnerTerminal) -> None:
    for line, sentence in REFUSED:
        refused = owner.run(f"predict {line}", code=1)

        assert sentence in refused
        assert len(refused.splitlines()) == 1
    assert owner.run("predictions list").startswith("No predictions")


def test_a_failed_run_is_told_with_its_reason(owner: OwnerTerminal) -> None:
    owner.post("/sandbox/faults", {"next": [{"fault": "fail"}]})

    assert " is failed: " in owner.run(f"predict {FLUX} -i prompt=fox", code=1)


def test_an_interrupted_run_is_cancelled(owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.post("/sandbox/faults", {"next": [{"fault": "hang"}]})

    read = ReplicateClient.get_prediction

    async def press_ctrl_c(self: ReplicateClient, prediction_id: str) -> CogPrediction:
        signal.raise_signal(signal.SIGINT)
        return await read(self, prediction_id)

    with monkeypatch.context() as patch:
        patch.setattr(ReplicateClient, "get_prediction", press_ctrl_c)
        assert main(["predict", FLUX, "-i", "prompt=fox"]) == 1

    assert owner.capsys.readouterr().err == "Stopped.\n"
    assert owner.run("predictions list").split()[1] == "canceled"
