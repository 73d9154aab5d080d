"""Transcriptions and speech, on the stand-in that keeps OpenAI's rules."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from bot.backends.openai.backend import OpenAIBackend
from bot.catalogue.loading import parse_model
from bot.core.backend import BackendConfig, BackendKind, InputFile, Inputs, PredictionState, RunEnded, RunSnapshot
from bot.core.clock import SystemClock
from bot.core.errors import InputRefused
from bot.core.models import Metric, Model
from tests.backends.openai.catalogue import make_backend
from tests.backends.own_bench import open_own_bench
from tests.emulators.openai.server import KEY, Flavour, OpenAIServer, open_openai_server
from tests.media.recordings import make_ogg, make_wav

COMMON = {
    "backend": "home",
    "usual_seconds": 2,
    "max_seconds": 60,
    "price": {"tiers": [{"per": "run", "usd": "0"}], "source": "own hardware", "read_on": "today"},
}
LISTENER = parse_model(
    "listener",
    {
        "title": "Listener",
        "task": "transcribe",
        "ref": "gpt-listen",
        "output": "text",
        "inputs": {"audio": {"to": "file", "file": True, "media": ["audio", "video"]}, "language": "language"},
        "fixed": {"response_format": "json"},
        **COMMON,
    },
)
SPEAKER = parse_model(
    "speaker",
    {
        "title": "Speaker",
        "task": "speak",
        "ref": "gpt-speak",
        "output": "audio",
        "inputs": {"text": {"to": "input", "max_length": 4096}, "voice": {"to": "voice", "default": "alloy"}},
        "fixed": {"response_format": "opus"},
        **COMMON,
    },
)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with open_openai_server(Flavour.OPENAI) as opened:
        yield opened


@pytest.fixture
async def backend(server: OpenAIServer) -> AsyncIterator[OpenAIBackend]:
    config = BackendConfig("home", BackendKind.OPENAI, server.url, key=KEY)
    opened = OpenAIBackend(config, SystemClock())
    yield opened
    await opened.close()


async def run(backend: OpenAIBackend, model: Model, inputs: Inputs) -> RunSnapshot:
    prepared = await backend.prepare(model, inputs)
    run_id = await backend.submit(model, prepared, job="j1", run="r1", cancel_after_seconds=30)
    async with aclosing(backend.watch(model, run_id)) as events:
        *_, last = [event async for event in events]
    assert isinstance(last, RunEnded)
    return last.snapshot


def keep(path: Path, content: bytes, mime: str) -> InputFile:
    path.write_bytes(content)
    return InputFile(hashlib.sha256(content).hexdigest(), mime, len(content), str(path))


async def test_a_recording_becomes_text(server: OpenAIServer, backend: OpenAIBackend, tmp_path: Path) -> None:
    recording = keep(tmp_path / "kept", make_ogg(2), "audio/ogg")

    snapshot = await run(backend, LISTENER, {"file": recording, "language": "en", "response_format": "json"})

    assert snapshot.text == "A short answer."
    assert snapshot.metrics.get(Metric.TOKEN_OUTPUT_COUNT) == 45
    # Servers tell the format from the name's extension.
    assert server.uploads == [{"file0.ogg": make_ogg(2)}]
    assert server.requests == [{"model": "gpt-listen", "language": "en", "response_format": "json"}]


async def test_words_become_a_sound(server: OpenAIServer, backend: OpenAIBackend) -> None:
    server.will(picture=make_wav(1))

    snapshot = await run(backend, SPEAKER, {"input": "Good morning", "voice": "alloy", "response_format": "opus"})

    assert snapshot.files == (make_wav(1),)
    expected = {"model": "gpt-speak", "input": "Good morning", "voice": "alloy", "response_format": "opus"}
    assert server.requests == [expected]


SOUND_MODELS = """
[listener]
title = "Listener"
task = "transcribe"
backend = "home"
ref = "gpt-listen"
output = "text"
usual_seconds = 2
max_seconds = 60
fixed = { response_format = "verbose_json" }
price.tiers = [{ per = "audio_input_minute_count", usd = "0.006" }]
price.bounds = { audio_input_minute_count = 30 }
price.source = "a page"
price.read_on = 2026-12-01
inputs = { audio = { to = "file", file = true, media = ["audio", "video"] } }

[speaker]
title = "Speaker"
task = "speak"
backend = "home"
ref = "gpt-speak"
output = "audio"
usual_seconds = 2
max_seconds = 60
price = { tiers = [{ per = "run", usd = "0" }], source = "own hardware", read_on = 2026-12-01 }
inputs = { text = "input", voice = { to = "voice", default = "alloy" } }
"""


async def test_transcribe_and_speak_work_in_the_bot(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME_KEY", KEY)
    server.will(picture=make_wav(1))
    async with open_own_bench(tmp_path, make_backend(server.url, key_env="HOME_KEY") + SOUND_MODELS) as bench:
        text = await bench.run("/transcribe", audio=make_ogg(2))
        paid_micros = await bench.paid_micros()
        (subtitles,) = bench.last.reply.result_files
        await bench.run("/speak Good morning")

        assert text == "Hello. Bye."
        assert subtitles.name == "transcribe.srt"
        # A minute and a half at $0.006 a started minute, up to the hold for the two seconds that were given.
        assert 6_000 <= paid_micros <= 12_000
        assert bench.last.reply.result_files[0].mime == "audio/wav"


async def test_a_refusal_is_a_sentence(server: OpenAIServer, backend: OpenAIBackend) -> None:
    server.will(status=400, error="Input too long")

    snapshot = await run(backend, SPEAKER, {"input": "x", "voice": "alloy"})

    assert snapshot.state is PredictionState.FAILED
    error = backend.explain(snapshot)
    assert isinstance(error, InputRefused)
    assert str(error) == "The model server home does not take this: Input too long."
