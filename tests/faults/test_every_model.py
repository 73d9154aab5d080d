"""Every priced model of the catalogue on the sandbox's twin, through the real client: message, ledger and file."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import ceil
from pathlib import Path

import pytest

from bot.catalogue.loading import load_catalogue
from bot.core.file_types import MediaKind
from bot.core.models import Model, OutputKind, Task
from bot.core.people import User
from bot.core.replies import Tone
from bot.sandbox.catalogue import create_models
from bot.sandbox.guide import Guide
from bot.sandbox.painter.film import FilmOrder, shoot
from bot.sandbox.prediction_store import SandboxPrediction
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA
from tests.faults.bench import FaultBench, open_fault_bench
from tests.media.recordings import make_wav

OWNER = User("web", "page", "owner", "You", is_owner=True)
PLENTY_MICROS = 60_000_000
PER_MILLION = ("token_input_count", "token_output_count", "character_input_count")
USD_PER_SECOND = {
    "sdxl": "0.000975",
    "sd-inpainting": "0.0014",
    "controlnet-canny": "0.0014",
    "rembg": "0.000225",
    "gfpgan": "0.000225",
    "real-esrgan": "0.000225",
    "blip": "0.000225",
    "blip-2": "0.0014",
    "sdxl-lightning": "0.0014",
    "clarity-upscaler": "0.0014",
    "851-removebg": "0.000225",
    "codeformer": "0.000725",
    "moondream2": "0.0014",
    "text-extract-ocr": "0.0001",
    "whisper": "0.000225",
    "fast-whisper": "0.000975",
    "styletts2": "0.0014",
    "zeroscope": "0.0014",
}
USD_PER_PICTURE = {"topaz-upscale": "0.05", "p-image-edit": "0.01", "flux-kontext-pro": "0.04"}
"""Prices of the twins without a price on their page, by the tables of 2026-11."""

LINES = {
    Task.IMAGINE: "/imagine a red fox",
    Task.EDIT: "/edit make it brighter",
    Task.REMOVE_BACKGROUND: "/removebg",
    Task.RESTORE: "/restore",
    Task.UPSCALE: "/upscale",
    Task.CAPTION: "/caption",
    Task.TRANSCRIBE: "/transcribe",
    Task.SPEAK: "/speak Hello, can you hear me?",
    Task.MUSIC: "/music calm piano",
    Task.VIDEO: "/video a fox runs",
    Task.CHAT: "/chat How do I start?",
}
# A training asks before it runs: `tests/commands/test_train.py` plays its dialogue.
MODELS = [model for model in load_catalogue() if not model.price.objection and model.task is not Task.TRAIN]


# A bench for a few models at a time: opening takes as long as a run.
ROWS = [[model for model in MODELS if model.task is task] for task in Task]
PARTS = [models[start : start + 5] for models in ROWS for start in range(0, len(models), 5)]


@pytest.mark.parametrize("models", PARTS, ids=lambda models: f"{models[0].key} to {models[-1].key}")
async def test_each_model_answers_at_its_published_price(models: list[Model], tmp_path: Path) -> None:
    async with open_fault_bench(tmp_path) as bench:
        await bench.app.jobs.record_user(ANA)
        wallets = bench.app.dispatcher.services.credits.wallets
        await wallets.grant(OWNER, ANA, PLENTY_MICROS, "web:grant", is_owner=True)
        for model in models:
            await check_model(bench, model)


async def check_model(bench: FaultBench, model: Model) -> None:
    refusal = await bench.ask(f"{LINES[model.task]} --model {model.key}", **choose_files(model))
    await bench.wait_until_done()

    assert refusal is None, (model.key, refusal)
    reply, job, prediction = bench.last.reply, await bench.last_job(), bench.predictions[-1]
    assert (job.model, prediction.model) == (model.key, model.ref)
    assert reply.tone is Tone.DONE, (model.key, reply.text)
    check_output(bench, model)
    history = await bench.app.jobs.get_history(job)
    assert history is not None
    wallet = [entry for entry in history.entries if entry.account.startswith("wallet:")]
    cost = ceil(compute_published_cost(model, prediction) * 1_000_000)
    assert job.cost_micros == cost, (model.key, prediction.metrics)
    assert -sum(entry.balance_delta_micros for entry in wallet) == cost
    assert sum(entry.held_delta_micros for entry in wallet) == 0
    assert max(entry.held_delta_micros for entry in wallet) <= job.max_micros
    assert cost <= job.max_micros
    assert model.title in reply.note
    assert bench.app.dispatcher.services.credits.formatter.format(cost) in reply.note


@cache
def make_film() -> bytes:
    return shoot(FilmOrder("a fox", 1, 2))


MAKE_FILE: dict[str, Callable[[], bytes]] = {
    "audio": lambda: make_wav(3),
    "video": make_film,
    "image": lambda: make_png(96, 64),
}


def choose_files(model: Model) -> dict[str, bytes]:
    """Return the files that the model's task requires, and those that the model itself requires."""
    files: dict[str, bytes] = {}
    if model.task not in (Task.IMAGINE, Task.CHAT, Task.SPEAK, Task.MUSIC, Task.VIDEO, Task.TRANSCRIBE):
        files["image"] = make_png(96, 64)
    if "mask" in model.inputs:
        files["mask"] = make_png(96, 64, "white")
    if model.task is Task.TRANSCRIBE:
        files["audio"] = make_wav(61)
    for name, rule in model.inputs.items():
        if rule.is_required and name not in files:
            files[name] = MAKE_FILE[name]()
    return files


def check_output(bench: FaultBench, model: Model) -> None:
    reply = bench.last.reply
    if model.output is OutputKind.PICTURES:
        assert reply.pictures, model.key
        assert all(bench.app.media.find_path(picture.sha256) is not None for picture in reply.pictures)
    elif model.output.is_text:
        assert reply.text, model.key
    else:
        (file,) = reply.result_files
        path = bench.app.media.find_path(file.sha256)
        assert path is not None, model.key
        wanted = {OutputKind.AUDIO: MediaKind.AUDIO, OutputKind.VIDEO: MediaKind.VIDEO}[model.output]
        assert (file.kind, (file.duration_seconds or 0) > 0.5) == (wanted, True), model.key


def compute_published_cost(model: Model, prediction: SandboxPrediction) -> Fraction:
    """Return the dollars by the price of the twin and the metering of the run."""
    metrics = {name: Fraction(repr(value)) for name, value in prediction.metrics.items()}
    if model.key in USD_PER_SECOND:
        return Fraction(USD_PER_SECOND[model.key]) * metrics["predict_time"]
    if model.key in USD_PER_PICTURE:
        return Fraction(USD_PER_PICTURE[model.key]) * metrics["image_output_count"]
    (twin,) = [twin for twin in TWINS if twin.full_name == model.ref]
    (tier,) = [tier for tier in twin.billing if tier.criteria.items() <= prediction.input.items()]
    metrics["run"] = Fraction(1)
    return sum(
        (
            Fraction(usd) * metrics[metric] / (1_000_000 if metric in PER_MILLION else 1)
            for metric, usd in tier.prices.items()
        ),
        Fraction(0),
    )


TWINS = create_models(Guide(()))
