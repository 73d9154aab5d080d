"""The models that speak, play, transcribe and film: files that a decoder accepts, measured facts, metered amounts."""

import io
import struct
import wave
from array import array

import pytest

from bot.sandbox.sound.speech import speak
from bot.sandbox.sound.wav import SAMPLE_RATE, UnreadableSound, encode_wav, measure_wav
from tests.fakes.backend import make_data_url, make_png
from tests.sandbox.conftest import SandboxClient

P_VIDEO, TURBO, LYRIA, SCRIBE = (
    "prunaai/p-video",
    "minimax/speech-2.8-turbo",
    "google/lyria-3",
    "elevenlabs/scribe-v2",
)
WHISPER = "openai/whisper:8099696689d249cf8b122d833c36ac3f75505c666a395ca40ef26f68e7d3d16e"
ZEROSCOPE = "anotherjesse/zeroscope-v2-xl:9f747673945c62801b13b84701c783929c0ee784e4748ec062204894dda1a351"
SILENCE = encode_wav(array("h", bytes(2 * SAMPLE_RATE)))
TWO_WORDS = encode_wav(speak("hello") + array("h", bytes(SAMPLE_RATE)) + speak("world"))


async def download(client: SandboxClient, finished: dict[str, object]) -> bytes:
    output = finished["output"]
    return (await client.request("GET", output[0] if isinstance(output, list) else str(output))).content


async def test_a_speaker_says_more_words_in_more_time(client: SandboxClient) -> None:
    short = await client.run(TURBO, {"text": "Hello."})
    long = await client.run(TURBO, {"text": "Hello, this is 1 longer sentence. Привет!", "voice_id": "Ana"})

    lengths = []
    for finished in (short, long):
        with wave.open(io.BytesIO(await download(client, finished))) as file:
            lengths.append(file.getnframes() / file.getframerate())
    assert lengths[1] > 3 * lengths[0] > 0.9
    assert long["metrics"]["character_input_count"] == 41
    assert "not an AI model" in long["logs"]


async def test_a_band_plays_the_same_for_the_same_seed(client: SandboxClient) -> None:
    model = "stability-ai/stable-audio-2.5"

    pieces = [
        await download(client, await client.run(model, {"prompt": "calm bells", "seed": seed, "duration": 2}))
        for seed in (7, 7, 8)
    ]

    assert pieces[0] == pieces[1] != pieces[2]
    facts = measure_wav(pieces[0])
    assert facts.seconds == 2
    assert facts.peak == pytest.approx(0.8, abs=0.01)


async def test_the_transcribers_measure_and_hear_no_words(client: SandboxClient) -> None:
    url = make_data_url(TWO_WORDS, "audio/wav")

    whisper = (await client.run(WHISPER, {"audio": url}))["output"]
    scribe = await client.run(SCRIBE, {"audio": url})
    silence = (await client.run(WHISPER, {"audio": make_data_url(SILENCE, "audio/wav")}))["output"]

    assert "with 1 pause." in whisper["transcription"]
    assert "cannot hear words" in whisper["transcription"]
    (first, second) = whisper["segments"]
    assert 0 < first["start"] < first["end"] < second["start"] < second["end"]
    assert scribe["metrics"]["audio_input_minute_count"] == 1
    assert scribe["output"]["words"][0]["text"] == "Measured,"
    assert silence["transcription"] == "Measured, not recognised: 1.0 s of silence."
    assert silence["segments"] == []


async def test_a_picture_is_no_sound(client: SandboxClient) -> None:
    failed = await client.run(WHISPER, {"audio": make_data_url(make_png(8, 8))})

    assert failed["error"] == "Failed to load audio: the file holds no sound that can be decoded"


@pytest.mark.parametrize("broken", [SILENCE[:30], SILENCE[:44], SILENCE[:20] + b"\xff" * 24 + SILENCE[44:]])
def test_a_broken_wav_is_refused(broken: bytes) -> None:
    with pytest.raises(UnreadableSound):
        measure_wav(broken)


def test_a_header_that_claims_hours_tells_the_samples_that_are_there() -> None:
    lying = SILENCE[:40] + struct.pack("<I", 0x7FFFFFF0) + SILENCE[44:]

    assert measure_wav(lying).seconds == 1


async def test_a_film_is_metered_by_its_seconds_and_drawn_by_its_seed(client: SandboxClient) -> None:
    asked = {"prompt": "a lighthouse at dusk", "duration": 2, "seed": 3, "resolution": "720p"}

    film = await client.run(P_VIDEO, asked)
    portrait = await client.run(P_VIDEO, asked | {"image": make_data_url(make_png(64, 96)), "duration": 1})
    frames = await client.run(ZEROSCOPE, {"prompt": "a fox", "num_frames": 16, "fps": 8})

    assert film["metrics"]["video_output_duration_seconds"] == 2
    assert (await download(client, film)).startswith(b"\x1a\x45\xdf\xa3")
    assert await download(client, film) == await download(client, await client.run(P_VIDEO, asked))
    assert await download(client, film) != await download(client, portrait)
    assert frames["metrics"]["video_output_duration_seconds"] == 2
    assert "without sound; not an AI model" in film["logs"]


async def test_a_film_from_no_picture_fails_in_a_sentence(client: SandboxClient) -> None:
    failed = await client.run(P_VIDEO, {"prompt": "a fox", "image": make_data_url(b"nothing")})

    assert failed["error"] == "cannot identify image file: not a PNG, JPEG, WebP or GIF picture"
