"""Models that transcribe, speak and play music, performed by rules and metered as the real models would be.

Fields and prices as in public registries of 2026-11. The transcribers measure a recording and hear no words.
"""

import math
import secrets
from collections.abc import Sequence
from typing import Any

from bot.core.file_types import HEAD_BYTES, MediaKind, detect_file_type
from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.model import BillingTier, InputField, Performance, SandboxModel, SandboxOutputKind, SandboxRun
from bot.sandbox.models.hosting import (
    choice_field,
    create_hosted_model,
    file_field,
    flag_field,
    integer_field,
    number_field,
    price_per,
    text_field,
)
from bot.sandbox.sound.music import play
from bot.sandbox.sound.speech import choose_pitch, speak
from bot.sandbox.sound.wav import SoundFacts, UnreadableSound, encode_wav, measure_wav

HONEST_VOICE = "Sandbox speaker: each letter is a tone or a noise by rules; no voice and not an AI model."
HONEST_BAND = "Sandbox band: notes by rules from the words and the seed, not an AI model. No words are sung."
HONEST_EAR = "Sandbox measurer: measures loudness and pauses by rules, not an AI model; it cannot hear words."
_SPEAKER = "a speaker by rules, in the place of a voice."
_BAND = "a band by rules, in the place of a music model."
_EAR = "a measurer of recordings, in the place of a model that hears."
_CHARACTERS, _SOUNDS, _MINUTES = "character_input_count", "audio_output_count", "audio_input_minute_count"
_MAX_SPOKEN_CHARACTERS = 10_000
_MUSIC_SECONDS = 12
_MAX_MUSIC_SECONDS = 30
_SEED = integer_field("seed")
_LANGUAGE = text_field("language_code")


# Speech.


async def _speak(run: SandboxRun) -> None:
    given = run.input
    text = strip_fault_words(str(given.get("text") or given.get("prompt") or ""))
    if not text.strip():
        raise SandboxModelFailed("Input validation error: there is no text to speak")
    if len(text) > _MAX_SPOKEN_CHARACTERS:
        raise SandboxModelFailed(f"Input validation error: at most {_MAX_SPOKEN_CHARACTERS} characters")
    voice = str(given.get("voice") or given.get("voice_id") or "")
    speed = float(given.get("speed") or given.get("speaking_rate") or 1)
    run.log(HONEST_VOICE)
    samples = await run.run_in_worker(speak, text, pitch_hz=choose_pitch(voice), speed=speed)
    await run.run_steps(4, 1.0)
    run.add_file(encode_wav(samples), "wav")
    run.set_metric(_CHARACTERS, len(text))
    run.set_metric(_SOUNDS, 1)


def _speaker(
    ref: str, usd_per_million: str, *fields: InputField, version: str = "", text: str = "text"
) -> SandboxModel:
    billing = price_per(_CHARACTERS, usd_per_million)
    return create_hosted_model(
        ref, _SPEAKER, _speak, (text_field(text, required=True), *fields), billing, version=version
    )


def _minimax(name: str, usd_per_million: str) -> SandboxModel:
    return _speaker(
        f"minimax/speech-2.8-{name}",
        usd_per_million,
        text_field("voice_id", default="Wise_Woman"),
        number_field("speed", 1, 0.5, 2),
        integer_field("pitch", 0, -12, 12),
        choice_field("emotion", "auto", "happy", "sad", "angry", "calm"),
        text_field("language_boost"),
        choice_field("audio_format", "mp3", "wav", "flac"),
    )


def _create_speakers() -> list[SandboxModel]:
    return [
        _speaker(
            "adirik/styletts2",
            "",
            file_field("reference"),
            number_field("alpha", 0.3, 0, 1),
            number_field("beta", 0.7, 0, 1),
            integer_field("diffusion_steps", 10, 0, 50),
            number_field("embedding_scale", 1, 0, 5),
            integer_field("seed", 0),
            version="989cb5ea6d2401314eb30685740cb9f6fd1c9001b8940659b406f952837ab5ac",
        ),
        _speaker(
            "inworld/tts-1.5-max",
            "10",
            text_field("voice_id", default="Ashley"),
            choice_field("audio_format", "mp3", "wav"),
            integer_field("sample_rate", 48_000),
            number_field("speaking_rate", 1, 0.5, 1.5),
        ),
        _speaker(
            "resemble-ai/chatterbox-turbo",
            "25",
            text_field("voice", default="Andy"),
            file_field("reference_audio"),
            number_field("temperature", 0.8, 0.05, 2),
            _SEED,
        ),
        _minimax("turbo", "60"),
        _minimax("hd", "100"),
        _speaker("google/gemini-3.1-flash-tts", "", text_field("voice", default="Kore"), text_field(), _LANGUAGE),
        _speaker(
            "elevenlabs/v3",
            "",
            text_field("voice", default="Rachel"),
            number_field("stability", 0.5, 0, 1),
            number_field("speed", 1, 0.7, 1.2),
            _LANGUAGE,
            text="prompt",
        ),
    ]


# Music.


async def _play(run: SandboxRun) -> None:
    given = run.input
    seed = secrets.randbelow(2**31) if given.get("seed") is None else int(given["seed"])
    seconds = min(float(given.get("duration") or _MUSIC_SECONDS), _MAX_MUSIC_SECONDS)
    run.log(f"Using seed: {seed}")
    run.log(HONEST_BAND)
    samples = await run.run_in_worker(play, strip_fault_words(str(given.get("prompt", ""))), seed, seconds)
    await run.run_steps(6, 2.0)
    run.add_file(encode_wav(samples), "wav")
    run.set_metric(_SOUNDS, 1)


def _band(ref: str, usd: str, *fields: InputField) -> SandboxModel:
    return create_hosted_model(ref, _BAND, _play, (text_field(required=True), *fields), price_per(_SOUNDS, usd))


def _create_bands() -> list[SandboxModel]:
    return [
        _band("google/lyria-3", "0.04"),
        _band("google/lyria-3-pro", "0.08"),
        _band("minimax/music-2.6", "0.15", text_field("lyrics")),
        _band("stability-ai/stable-audio-2.5", "0.20", integer_field("duration", 30, 1, 190), _SEED),
    ]


# Transcription.


async def _measure(run: SandboxRun) -> tuple[str, SoundFacts | None]:
    """Return a sentence about the recording of a run, and the facts of a WAV file."""
    content = await run.read_file("audio") or await run.read_file("audio_file")
    if content is None:
        raise SandboxModelFailed("Input validation error: audio is required")
    run.log(HONEST_EAR)
    file_type = detect_file_type(content[:HEAD_BYTES])
    if file_type is None or file_type.kind not in (MediaKind.AUDIO, MediaKind.VIDEO):
        raise SandboxModelFailed("Failed to load audio: the file holds no sound that can be decoded")
    facts: SoundFacts | None = None
    if file_type.extension == "wav":
        try:
            facts = await run.run_in_worker(measure_wav, content)
        except UnreadableSound as error:
            raise SandboxModelFailed(f"Failed to load audio: {error}") from error
    await run.run_steps(4, 1.2)
    run.set_metric(_MINUTES, max(1, math.ceil(facts.seconds / 60)) if facts else 1)
    return _describe(file_type.extension, len(content), facts), facts


def _describe(extension: str, size_bytes: int, facts: SoundFacts | None) -> str:
    deaf = "The sandbox cannot hear words."
    if facts is None:
        size = f"{max(1, size_bytes // 1000)} kB"
        return f"Measured, not recognised: a recording as {extension.upper()}, {size}; only WAV is measured. {deaf}"
    if not facts.passages:
        return f"Measured, not recognised: {facts.seconds:.1f} s of silence."
    pauses = len(facts.passages) - 1
    mean, peak = _to_decibels(facts.loudness), _to_decibels(facts.peak)
    return (
        f"Measured, not recognised: {facts.seconds:.1f} s of sound, on average {mean} dB and at most {peak} dB, with "
        f"{pauses or 'no'} pause{'' if pauses == 1 else 's'}. {deaf}"
    )


def _to_decibels(level: float) -> int:
    return round(20 * math.log10(max(level, 1e-5)))


def _list_passages(facts: SoundFacts | None, text: str) -> Sequence[tuple[float, float, str]]:
    """Return the timed parts of a transcript: the sentence at the first passage, then a word for each further one."""
    passages = facts.passages if facts else ()
    return [
        (round(start, 2), round(end, 2), text if n == 1 else f"(sound {n}, {end - start:.1f} s)")
        for n, (start, end) in enumerate(passages, 1)
    ]


async def _run_whisper(run: SandboxRun) -> None:
    text, facts = await _measure(run)
    segments: list[dict[str, Any]] = [
        {"id": n, "start": start, "end": end, "text": f" {words}"}
        for n, (start, end, words) in enumerate(_list_passages(facts, text))
    ]
    run.fields = {
        "detected_language": "unknown",
        "transcription": text,
        "segments": segments,
        "translation": None,
        "txt_file": None,
        "srt_file": None,
    }


async def _run_fast_whisper(run: SandboxRun) -> None:
    text, facts = await _measure(run)
    chunks = [{"text": f" {words}", "timestamp": [start, end]} for start, end, words in _list_passages(facts, text)]
    run.fields = {"text": text, "chunks": chunks}


async def _run_scribe(run: SandboxRun) -> None:
    text, facts = await _measure(run)
    words: list[dict[str, Any]] = []
    for start, end, said in _list_passages(facts, text) or [(0.0, 0.0, text)]:
        pieces = said.split()
        step = (end - start) / len(pieces)
        for n, piece in enumerate(pieces):
            at, until = round(start + n * step, 2), round(start + (n + 1) * step, 2)
            words += [
                {"text": piece, "type": "word", "start": at, "end": until, "speaker_id": "speaker_0"},
                {"text": " ", "type": "spacing", "start": until, "end": until, "speaker_id": "speaker_0"},
            ]
    run.fields = {"language_code": "und", "words": words}


async def _run_gpt_transcribe(run: SandboxRun) -> None:
    text, _ = await _measure(run)
    run.text = text


def _ear(
    ref: str,
    perform: Performance,
    *fields: InputField,
    billing: tuple[BillingTier, ...] = (),
    output: SandboxOutputKind = SandboxOutputKind.OBJECT,
    version: str = "",
) -> SandboxModel:
    return create_hosted_model(ref, _EAR, perform, fields, billing, output=output, version=version)


def _create_ears() -> list[SandboxModel]:
    audio, prompts = file_field("audio", required=True), (text_field("language"), text_field("prompt"))
    gpt = (file_field("audio_file", required=True), *prompts, number_field("temperature", 0, 0, 1))
    text = SandboxOutputKind.TEXT
    return [
        _ear(
            "openai/whisper",
            _run_whisper,
            audio,
            choice_field("transcription", "plain text", "srt", "vtt"),
            flag_field("translate"),
            text_field("language", default="auto"),
            number_field("temperature", 0),
            number_field("patience", 1),
            text_field("suppress_tokens", default="-1"),
            text_field("initial_prompt"),
            flag_field("condition_on_previous_text", default=True),
            number_field("temperature_increment_on_fallback", 0.2),
            number_field("compression_ratio_threshold", 2.4),
            number_field("logprob_threshold", -1),
            number_field("no_speech_threshold", 0.6),
            version="8099696689d249cf8b122d833c36ac3f75505c666a395ca40ef26f68e7d3d16e",
        ),
        _ear(
            "vaibhavs10/incredibly-fast-whisper",
            _run_fast_whisper,
            audio,
            choice_field("task", "transcribe", "translate"),
            text_field("language", default="None"),
            choice_field("timestamp", "chunk", "word"),
            integer_field("batch_size", 24),
            flag_field("diarise_audio"),
            version="3ab86df6c8f54c11309d4d1f930ac292bad43ace52d10c80d87eb258b3c9f79c",
        ),
        _ear("elevenlabs/scribe-v2", _run_scribe, audio, _LANGUAGE, billing=price_per(_MINUTES, "0.003667")),
        _ear("openai/gpt-4o-transcribe", _run_gpt_transcribe, *gpt, output=text),
        _ear("openai/gpt-4o-mini-transcribe", _run_gpt_transcribe, *gpt, output=text),
    ]


def create_sound_models() -> list[SandboxModel]:
    return [*_create_ears(), *_create_speakers(), *_create_bands()]
