"""The `models` verb: output, checks, and additions to an own catalogue."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from bot.app import App
from bot.catalogue.added_models import ModelAddition
from bot.catalogue.loading import BUILT_IN_PATH, load_catalogue
from bot.catalogue.running import make_run_table
from bot.cli import main
from bot.cli.terminal import sanitise_line
from bot.core.models import AddedModel, Metric, ModelSchema, OutputKind, Task
from bot.core.people import User
from bot.settings import load_settings
from tests.cli.terminal import OwnerTerminal


def own_catalogue(monkeypatch: pytest.MonkeyPatch, change: tuple[str, str] = ("", "")) -> Path:
    path = Path("models.toml")
    text = BUILT_IN_PATH.read_text(encoding="utf-8")
    assert change[0] in text
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    monkeypatch.setenv("CATALOGUE_PATH", str(path))
    return path


def test_list_needs_no_network(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["models", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(load_catalogue())
    assert lines[0].split() == ["flux-schnell", "/imagine", "$0.003", "a", "picture", "black-forest-labs/flux-schnell"]
    assert "$0.05 a million tokens read + $0.25 a million tokens written" in "\n".join(lines)
    assert lines[3].split() == ["sdxl", "/imagine", "$0.000975", "a", "second", "stability-ai/sdxl:7762fd07cf82…"]


def test_the_built_in_catalogue_fits_the_sandbox(owner: OwnerTerminal) -> None:
    output = owner.run("models check")

    off = [model for model in load_catalogue() if model.price.objection]
    assert output.count("ok  ") == len(load_catalogue()) - len(off)
    assert all(f"note   {model.key} is off: it {model.price.objection}." in output for model in off)
    assert output.endswith(f"{len(load_catalogue())} of {len(load_catalogue())} entries fit.\n")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("maximum = 4 }\nformat", "maximum = 8 }\nformat"),
            "wrong  flux-schnell takes num_inference_steps up to 4, not 8",
        ),
        (
            ('ref = "stability-ai/sdxl"', 'ref = "stability-ai/gone"'),
            "wrong  sdxl names stability-ai/gone, which is not",
        ),
        (
            ('version = "7762fd07', 'version = "0062fd07'),
            "wrong  sdxl pins a version that is not there any more: set ver",
        ),
        (("[sdxl.inputs]", 'deployment = "a/b"\n[sdxl.inputs]'), "wrong  sdxl names the deployment a/b, which is not"),
    ],
)
def test_an_outdated_entry_is_reported(
    owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], sentence: str
) -> None:
    own_catalogue(monkeypatch, change)

    output = owner.run("models check", code=1)

    assert sentence in output
    assert f"{len(load_catalogue()) - 1} of {len(load_catalogue())} entries fit." in output


def test_an_entry_is_checked_against_the_version_of_the_deployment(
    owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.run("deployments create fast --model stability-ai/sdxl --hardware gpu-t4")
    own_catalogue(monkeypatch, ("[sdxl.inputs]", 'deployment = "sandbox/fast"\n[sdxl.inputs]'))

    assert "ok     sdxl" in owner.run("models check sdxl")
    assert "by deployment sandbox/fast" in owner.run("models list")


def test_prices_are_compared_with_the_models_pages(owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    output = owner.run("models check --prices flux-schnell llama-3-70b sdxl")

    assert "ok     flux-schnell\nnote   sdxl publishes no price that could be read.\nok     llama-3-70b\n" in output
    path = own_catalogue(monkeypatch, ('usd = "0.003"', 'usd = "0.002"'))
    output = owner.run("models check --prices flux-schnell", code=1)
    drift = "publishes $0.003 for each image_output_count, not $0.002: set usd in price.tiers, and price.read_on."
    assert f"wrong  flux-schnell {drift}" in output
    path.write_text(path.read_text(encoding="utf-8").replace('usd = "0.002"', 'usd = "0.004"'), encoding="utf-8")
    assert "note   flux-schnell publishes $0.003" in owner.run("models check --prices flux-schnell")
    assert "publishes" not in owner.run("models check flux-schnell")


def test_the_prices_of_every_editor_are_those_of_its_page(owner: OwnerTerminal) -> None:
    # Ideogram's page has a tier of $8, which its entry does not offer.
    models = (model for model in load_catalogue() if model.key != "ideogram-4-5-edit")
    editors = [model for model in models if model.task is Task.EDIT]
    by_time = [model.key for model in editors if model.price.metrics == (Metric.PREDICT_TIME,)]

    output = owner.run(f"models check --prices {' '.join(model.key for model in editors)}")

    assert "wrong" not in output
    assert [line.split()[1] for line in output.splitlines() if line.startswith("note")] == by_time


def test_only_named_entries_are_checked(owner: OwnerTerminal) -> None:
    assert owner.run("models check blip") == "ok     blip\n1 of 1 entries fit.\n"
    assert "has no entry blup; it has 851-removebg, blip, " in owner.run("models check blup", code=1)


def test_search_lists_models(owner: OwnerTerminal) -> None:
    output = owner.run("models search upscale images --limit 1")

    assert output.startswith("nightmareai/real-esrgan  0 runs")
    assert owner.run("models search zzz", code=1) == "Nothing fits “zzz”.\n"


def test_add_prints_a_catalogue_entry(owner: OwnerTerminal) -> None:
    output = owner.run("models add black-forest-labs/flux-schnell --key quick")

    assert output.startswith("[quick]\n")
    assert 'count = {to = "num_outputs", minimum = 1, maximum = 4}' in output
    assert 'tiers = [{per = "image_output_count", usd = "0.003"}]' in output
    assert "FILL IN" not in output
    assert 'tiers = [{per = "predict_time", usd = "FILL IN"}]' in owner.run("models add stability-ai/sdxl")


def test_an_added_entry_is_valid_once_the_price_is_filled_in(
    owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own_catalogue(monkeypatch)

    output = owner.run("models add salesforce/blip --key quick --write")

    assert output == f"[quick] is in {path}.\nFill in the price, from replicate.com/salesforce/blip.\n"
    assert "note   quick is off: it has no price yet. Fill in price.tiers from replicate.com/" in owner.run(
        "models check quick"
    )
    assert "price unknown (off)" in owner.run("models list")
    path.write_text(path.read_text(encoding="utf-8").replace('"FILL IN"', '"0.003"'), encoding="utf-8")
    assert "ok     quick" in owner.run("models check quick")
    assert "is in models.toml already" in owner.run("models add salesforce/blip --key quick --write", code=1)


def test_an_entry_is_removed_and_the_other_entries_stay(owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_catalogue(monkeypatch)
    before = load_catalogue(path)

    output = owner.run("models remove blip")

    assert output == f"[blip] is out of {path}. A running bot offers the model until the next start.\n"
    assert load_catalogue(path) == [model for model in before if model.key != "blip"]
    assert "have blip" in owner.run("models remove blip", code=1)


def test_an_entry_that_others_name_is_not_removed(owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_catalogue(monkeypatch)
    before = path.read_bytes()

    refused = owner.run("models remove sdxl", code=1)

    assert refused.startswith("Without [sdxl] the catalogue cannot be used: [sdxl-lightning] is wrong")
    assert path.read_bytes() == before
    assert list(path.parent.glob("*.new")) == []


def test_a_model_added_from_the_chat_is_withdrawn(owner: OwnerTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "data")
    schema = ModelSchema("owner/painter", "a" * 64, "a" * 64, output=OutputKind.PICTURES, fields=())
    table = make_run_table(schema, (), today=date(2026, 12, 1))

    async def add() -> AddedModel:
        app = App(load_settings(), backends={})
        await app.database.open()
        addition = ModelAddition("painter", table, (), ("discord", "1"), 5_000)
        added = await app.added_models.add(addition, User("discord", "1", "mo", "Mo"))
        await app.database.close()
        return added

    key = asyncio.run(add()).model.key

    assert owner.run(f"models remove {key}") == f"{key} is withdrawn. Its unfinished jobs go on.\n"
    assert f"have {key}" in owner.run(f"models remove {key}", code=1)
    assert "part of Easel" in owner.run("models remove sdxl", code=1)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("models add acme/nothing", "Replicate shows this token no model acme/nothing."),
        (f"models add stability-ai/sdxl:{'0' * 64}", f"no model stability-ai/sdxl:{'0' * 64}."),
        ("models add sdxl", "“sdxl” is no owner/name."),
        ("models add stability-ai/sdxl --write", "CATALOGUE_PATH is not set"),
    ],
)
def test_an_impossible_add_fails_with_the_reason(owner: OwnerTerminal, line: str, sentence: str) -> None:
    assert sentence in owner.run(line, code=1)


def test_verbs_of_replicate_need_a_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)

    for line in ("models check", "models search fox", "deployments list", "trainings list"):
        assert main(line.split()) == 1
        assert "REPLICATE_API_TOKEN is missing." in capsys.readouterr().err


def test_control_characters_of_untrusted_text_are_removed() -> None:
    assert sanitise_line("red\x1b[31m\r\nnext\u202eline\u200b") == "red [31m next line"
    assert sanitise_line("x" * 200) == "x" * 100 + "…"
