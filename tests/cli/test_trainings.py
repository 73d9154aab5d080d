"""The `trainings` verb: create with a local file, get, cancel, list."""

from pathlib import Path

import pytest

from tests.cli.terminal import OwnerTerminal

CREATE = "trainings create stability-ai/sdxl --destination mine --input input_images=@photos.zip"


@pytest.fixture
def trainer(owner: OwnerTerminal) -> OwnerTerminal:
    """An owner with a file of photos and a destination model."""
    Path("photos.zip").write_bytes(b"PK")
    owner.post("/v1/models", {"owner": "sandbox", "name": "mine", "visibility": "private", "hardware": "cpu"})
    return owner


def test_a_training_is_created_and_shown(trainer: OwnerTerminal) -> None:
    output = trainer.run(CREATE + " --input max_train_steps=10 --input is_lora=false --input token_string=7")

    training_id, words = output.split(maxsplit=1)
    assert words == "starting: stability-ai/sdxl\nReplicate bills it to you; the bot's budget does not know of it.\n"
    while "succeeded" not in (output := trainer.run(f"trainings get {training_id}")):
        pass
    assert "\nmade sandbox/mine:" in output
    assert "\nweights, for an hour: http" in output
    assert "20/20" in output
    assert trainer.run("trainings list").startswith(f"{training_id}  succeeded")


def test_a_training_is_cancelled(trainer: OwnerTerminal) -> None:
    trainer.post("/sandbox/faults", {"next": [{"fault": "hang"}]})
    training_id = trainer.run(CREATE).split()[0]

    assert trainer.run(f"trainings cancel {training_id}").startswith(f"{training_id} canceled: stability-ai/sdxl")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (CREATE.replace("mine", "other"), "no such training, model, version or destination"),
        (CREATE.replace("photos", "none"), "No such file or directory: none.zip"),
        (CREATE + " --input steps=4", "--input steps=4: give NAME=VALUE, with one of input_images, token_string"),
        (CREATE + " --input max_train_steps=many", "max_train_steps takes a whole number, not “many”."),
        (CREATE.partition(" --input")[0], "The training needs input_images: give each with --input NAME=VALUE."),
        (CREATE.replace("stability-ai/sdxl", "black-forest-labs/flux-schnell"), "so it cannot be trained."),
        ("trainings get nothing", "no such training"),
        ("trainings cancel nothing", "no such training"),
    ],
)
def test_an_impossible_request_fails_with_the_reason(trainer: OwnerTerminal, line: str, sentence: str) -> None:
    assert sentence in trainer.run(line, code=1)


def test_an_unclear_create_is_not_retried(trainer: OwnerTerminal) -> None:
    trainer.post("/sandbox/faults", {"next": [{"fault": "500"}]})

    output = trainer.run(CREATE, code=1)

    assert output == "It is not known whether this arrived (HTTP 500): list first, before you do it again.\n"
    assert len(trainer.run("trainings list").splitlines()) == 1


def test_an_empty_list_is_reported(owner: OwnerTerminal) -> None:
    assert owner.run("trainings list") == "There are no trainings.\n"
