"""`/run` with models that no form can run, and with what models do wrong: one sentence, and nothing spent."""

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.catalogue import create_model_page
from bot.sandbox.model import InputField, SandboxModel
from tests.commands.run_bench import PAINTER, UPSCALER, RunBench, open_run_bench
from tests.fakes.backend import make_png
from tests.fakes.samples import MODERATOR

PICTURE = make_png()
SECRET = {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True, "x-order": 90}


class OddModel(SandboxModel):
    """A model with a schema of the test's own."""

    inputs: Mapping[str, Any] | None = None
    """Further inputs; None for a model without a schema."""
    needed: tuple[str, ...] = ()

    def openapi_schema(self) -> dict[str, Any]:
        if self.inputs is None:
            return {}
        schema = super().openapi_schema()
        form = schema["components"]["schemas"]["Input"]
        form["properties"] |= self.inputs
        form["required"] = [*form.get("required", ()), *self.needed]
        return schema


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[RunBench]:
    async with open_run_bench(tmp_path) as opened:
        yield opened


def publish(bench: RunBench, name: str, *, needed: tuple[str, ...] = (), **inputs: Any) -> None:
    """Publish a model `odd/NAME` like the upscaler, with further inputs; without any it has no schema."""
    known = bench.bench.sandbox.catalogue.find(UPSCALER).versions[0].model
    values = {field.name: getattr(known, field.name) for field in fields(SandboxModel)}
    model = OddModel(**(values | {"owner": "odd", "name": name, "version": name.encode().hex().ljust(64, "0")}))
    object.__setattr__(model, "inputs", inputs or None)
    object.__setattr__(model, "needed", needed)
    bench.bench.sandbox.catalogue.add(create_model_page(model, bench.bench.sandbox.clock.now()))


async def test_a_model_that_no_form_can_run_is_refused_with_the_reason(bench: RunBench) -> None:
    publish(bench, "bare")
    publish(bench, "key", needed=("api_key",), api_key=SECRET)
    publish(bench, "strange", needed=("two words",), **{"two words": {"type": "string"}})
    names = tuple(f"needed_{n}" for n in range(50))
    publish(bench, "endless", needed=names, **{name: {"type": "string"} for name in names})
    refusals = {
        "bare": "odd/bare publishes no schema, so I cannot tell what it takes.",
        "key": "odd/key needs api_key: a secret of yours, which I never ask for.",
        "strange": "odd/strange needs two words: an input that no form can give.",
        "endless": "odd/endless needs more than 40 inputs, which no form can give.",
    }

    for name, refusal in refusals.items():
        assert await bench.say(f"/run odd/{name} image=@file", file=PICTURE) == refusal
        assert await bench.say(f"/model add odd/{name}", by=MODERATOR) == refusal
    assert bench.bench.predictions == []


async def test_a_secret_input_is_neither_offered_nor_taken_nor_logged(
    bench: RunBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    publish(bench, "shy", hf_token=SECRET)

    question = await bench.say("/run odd/shy", file=PICTURE)
    form = await bench.open_form()
    shown = await bench.say("/model show odd/shy")
    refused = await bench.say("/run odd/shy hf_token=hush-hush-hush image=@file", file=PICTURE)

    assert "hf_token" not in question
    assert "hf_token" not in [option.name for option in form.declaration.options]
    assert "image" in [option.name for option in form.declaration.options]
    assert "- `hf_token`" not in shown
    assert refused.startswith("There is no input called “hf_token”.")
    assert "hush-hush-hush" not in refused + str([record.__dict__ for record in caplog.records])
    assert bench.bench.predictions == []


async def test_a_newer_version_since_the_question_does_not_change_what_runs(bench: RunBench) -> None:
    await bench.say("/settings run anything 500", by=MODERATOR)
    await bench.say(f"/run {UPSCALER} scale=2", file=PICTURE)
    assert "Run" in bench.labels
    page = bench.bench.sandbox.catalogue.find(UPSCALER)
    older = page.versions[0].model
    kept = tuple(field for field in older.fields if field.name != "scale")
    needed = InputField("strength", "number", "How much?", required=True)
    page.versions.insert(0, replace(page.versions[0], model=replace(older, version="f" * 64, fields=(*kept, needed))))
    bench.bench.sandbox.clock.advance(301)

    await bench.run_to_end()

    (run,) = bench.bench.predictions
    assert (run.version, run.input["scale"]) == (older.version, 2)


async def test_a_version_that_is_gone_since_the_question_does_not_run(bench: RunBench) -> None:
    await bench.say("/settings run anything 500", by=MODERATOR)
    await bench.say(f"/run {UPSCALER} scale=2", file=PICTURE)
    bench.bench.sandbox.catalogue.remove(bench.bench.sandbox.catalogue.find(UPSCALER))
    bench.bench.sandbox.clock.advance(301)

    assert await bench.press("confirm") == f"Replicate shows no model {UPSCALER} of that version."
    assert bench.bench.predictions == []


async def test_an_output_larger_than_i_keep_is_one_sentence_and_free(bench: RunBench) -> None:
    # Replicate names the length of a file before the file: a file of gigabytes is refused as this one is.
    bench.bench.app.media._max_output_bytes = 1_000
    await bench.say("/settings run anything 500", by=MODERATOR)
    await bench.say(f"/run {PAINTER} a fox")

    text = await bench.run_to_end()

    assert len(bench.bench.predictions) == 1
    assert "too large" in text
    assert len([line for line in text.splitlines() if line.strip()]) == 1
