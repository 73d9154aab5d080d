"""The `deployments` verb against the sandbox."""

import pytest

from bot.cli import main
from tests.cli.terminal import OwnerTerminal

MAKE = "deployments create fast --model stability-ai/sdxl --hardware gpu-t4"


def test_a_deployment_is_created_listed_changed_and_deleted(owner: OwnerTerminal) -> None:
    assert owner.run("deployments list") == "There are no deployments.\n"
    made = owner.run(MAKE)
    assert made.startswith("sandbox/fast is made: stability-ai/sdxl:7762fd07")
    assert 'deployment = "sandbox/fast"' in made
    assert "bills at all times" not in made
    changed = owner.run("deployments update fast --min 2 --max 3 --version newest")
    assert "It keeps 2 instances running, which Replicate bills at all times" in changed
    assert "gpu-t4  2 to 3 instances" in owner.run("deployments list")
    assert "offline and unused" in owner.run("deployments delete fast", code=1)
    owner.run("deployments update sandbox/fast --min 0")
    assert owner.run("deployments delete sandbox/fast") == "sandbox/fast is deleted.\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (MAKE.replace("gpu-t4", "gpu-t5"), "There is no hardware gpu-t5; there is cpu, gpu-t4, "),
        (MAKE.replace("stability-ai/sdxl", "acme/nothing"), "Replicate shows this token no model acme/nothing."),
        (MAKE + " --min 2", "--min 2 is more than --max 1."),
        ("deployments update fast", "Say what to change: --version, --hardware, --min or --max."),
        ("deployments update fast --max 2", "There is no deployment sandbox/fast; yours: none."),
        ("deployments delete fast", "There is no deployment sandbox/fast; yours: none."),
    ],
)
def test_an_impossible_request_fails_with_the_reason(owner: OwnerTerminal, line: str, sentence: str) -> None:
    assert sentence in owner.run(line, code=1)


def test_instance_counts_have_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*MAKE.split(), "--min", "6"])

    assert "should be from 0 to 5, not '6'" in capsys.readouterr().err
