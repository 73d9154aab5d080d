"""/transcribe, /speak, /music, /video and Animate, at the bench: inputs, prices, files, and refusals in a sentence."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands.recordings import STILL_PROMPT, Transcribe, Video
from bot.core.file_types import MediaKind
from bot.core.platform import MessageLimits
from bot.core.replies import Reply, Tone
from bot.core.transcripts import Passage
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_data_url, make_png
from tests.fakes.samples import ANA, MODERATOR, OWNER
from tests.media.recordings import make_mp4, make_ogg, make_wav, make_webm
from tests.platforms.web.web_bot import open_web_bot

PASSAGES = (Passage(0, 30, "Hello Ben.", "A"), Passage(31, 61, "Hello Ana.", "B"))


async def grant(bench: Bench) -> None:
    """Give credits beyond the daily ones, which are fewer than most videos cost."""
    wallets = bench.app.dispatcher.services.credits.wallets
    await bench.app.jobs.record_user(ANA)
    await wallets.grant(OWNER, ANA, 5_000_000, "web:grant", is_owner=True)


async def test_a_short_recording_becomes_a_text(bench: Bench) -> None:
    bench.backend.will(passages=(replace(PASSAGES[0], end_seconds=3), replace(PASSAGES[1], end_seconds=5)))

    await bench.invoke(Transcribe(audio=make_attachment(make_ogg(2)), language="en"))

    reply = bench.last_message.reply
    assert (reply.tone, reply.text, reply.result_files) == (Tone.DONE, "A short answer.", ())
    assert reply.note.startswith("ElevenLabs Scribe v2 · ")
    assert bench.backend.last_run.inputs["language_code"] == "en"


async def test_a_long_recording_brings_subtitles_with_speakers(bench: Bench) -> None:
    bench.backend.will(passages=PASSAGES)

    await bench.invoke(Transcribe(audio=make_attachment(make_wav(61))))

    (file,) = bench.last_message.reply.result_files
    path = bench.app.media.find_path(file.sha256)
    assert (file.name, file.kind) == ("transcribe.srt", MediaKind.FILE)
    assert path is not None
    assert path.read_text().startswith("1\n00:00:00,000 --> 00:00:30,000\nSpeaker 1: Hello Ben.\n\n2\n00:00:31,000")
    assert await bench.app.dispatcher.services.jobs.render(await bench.get_job()) == bench.last_message.reply


async def test_silence_is_told_and_free(bench: Bench) -> None:
    bench.backend.will(words=(" ",))

    await bench.invoke(Transcribe(audio=make_attachment(make_wav(3))))

    assert bench.last_message.reply.text == "⚠ The model heard no words in this recording. You were not charged."
    assert await bench.balance() == bench.starting_credits


async def test_the_last_recording_here_is_transcribed(bench: Bench) -> None:
    await bench.say("/speak Hello there")
    await bench.say("/imagine a fox")

    assert await bench.say("/transcribe") is None

    spoken, transcript = next(iter(bench.backend.runs.values())), bench.backend.last_run
    assert (spoken.model.key, transcript.model.key) == ("inworld-tts", "scribe")
    assert str(transcript.inputs["audio"]).startswith("data:audio/wav")


async def test_words_are_spoken_at_the_price_of_their_characters(bench: Bench) -> None:
    text = "x" * 2_000

    await bench.say(f"/speak {text} --voice Ashley --speed 1.2")

    (file,) = bench.last_message.reply.result_files
    run = bench.backend.last_run
    assert (file.kind, file.duration_seconds, bench.last_message.reply.tone) == (MediaKind.AUDIO, 1, Tone.DONE)
    assert run.inputs == {"text": text, "voice_id": "Ashley", "speaking_rate": 1.2}
    assert (await bench.get_job()).cost_micros == 20_000


async def test_music_is_played_at_a_price_for_the_piece(bench: Bench) -> None:
    await grant(bench)
    await bench.say('/music calm piano --model minimax-music --lyrics "la la"')

    assert bench.backend.last_run.inputs == {"prompt": "calm piano", "lyrics": "la la"}
    assert (await bench.get_job()).cost_micros == 150_000
    assert [file.kind for file in bench.last_message.reply.result_files] == [MediaKind.AUDIO]


@pytest.mark.parametrize(
    ("options", "price_micros"),
    [
        ("", 80_000),
        ("--duration 10 --resolution 1080p", 400_000),
        ("--duration 10 --quality draft", 50_000),
        ("--duration 8 --model veo-3-1-fast", 1_200_000),
        ("--duration 4 --model veo-3-1-fast --sound no", 400_000),
        ("--model hailuo-2-3 --resolution 1080p", 492_000),
    ],
)
async def test_the_price_of_a_video_is_exact_before_the_run(bench: Bench, options: str, price_micros: int) -> None:
    await grant(bench)
    bench.backend.will(hangs_after=0)
    await bench.say(f"/video a fox runs {options}")

    job = await bench.get_job()

    assert (job.estimate_micros, job.max_micros) == (price_micros, price_micros)
    assert f"{price_micros // 1_000:,} credits" in bench.last_message.reply.note
    assert bench.backend.last_run.inputs.get("disable_safety_filter", False) is False


async def test_the_confirmation_sees_length_and_size(bench: Bench) -> None:
    await grant(bench)
    await bench.say("/settings general --confirm_above 150", by=MODERATOR)

    asked = await bench.say("/video a fox --duration 20")

    assert isinstance(asked, Reply)
    assert asked.text == "This costs 400 credits with P-Video. Go ahead?"
    assert await bench.say("/video a fox --duration 5") is None


async def test_a_video_begins_and_ends_with_pictures(bench: Bench) -> None:
    first, last = make_png(colour="red"), make_png(colour="blue")

    await bench.invoke(Video(image=make_attachment(first), last=make_attachment(last), duration=2, sound=False))

    inputs = bench.backend.last_run.inputs
    assert (inputs["prompt"], inputs["save_audio"], inputs["disable_safety_filter"]) == (STILL_PROMPT, False, False)
    assert inputs["image"] != inputs["last_frame_image"]
    (file,) = bench.last_message.reply.result_files
    assert (file.kind, file.name) == (MediaKind.VIDEO, "natural-movement-the-camera-comes-slowly-nearer.webm")


@pytest.mark.parametrize(
    ("url", "size"),
    [
        (make_data_url(make_png(64, 48)), (64, 48)),
        (make_data_url(make_webm(1), "video/webm"), None),
        ("http://127.0.0.1:9/a.png", None),
    ],
)
async def test_a_picture_of_the_unfinished_video_is_shown(
    tmp_path: Path, url: str, size: tuple[int, int] | None
) -> None:
    bench = await Bench.open(tmp_path, limits=MessageLimits(max_length=2_000, shows_previews=True))
    bench.backend.will(previews=(url,), hangs_after=0)
    await bench.say("/video a fox --duration 1")
    (shown,) = bench.platform.messages.values()

    preview = shown.reply.preview
    bench.backend.last_run.released.set()
    await bench.wait_until_idle()

    assert (preview and (preview.width, preview.height)) == size
    assert shown.reply.preview is None
    assert [file.kind for file in shown.reply.result_files] == [MediaKind.VIDEO]
    await bench.close()


async def test_animate_moves_a_picture_at_the_price_on_the_button(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2")
    button = next(button for button in bench.last_message.reply.buttons if (button.action, button.n) == ("animate", 2))

    await bench.press("animate", n=2)

    job, run = await bench.get_job(), bench.backend.last_run
    assert button.label == "Animate 2 · P-Video, 20 credits"
    assert (job.command, job.max_micros, run.inputs["prompt"]) == ("video", 20_000, "a fox")
    assert str(run.inputs["image"]).startswith("data:image/png")


@pytest.mark.parametrize(
    ("line", "file", "sentence"),
    [
        ("/video", None, "Say what should happen, or give a picture to begin with."),
        ("/video a fox --duration 5 --model veo-3-1", None, "Veo 3.1 takes duration 4, 6, 8, not “5”."),
        ("/video a fox --duration 21", None, "P-Video takes duration from 1 to 20, not 21."),
        ("/video a fox --duration 61", None, "duration must be from 1 to 60, not 61."),
        ("/video a fox --resolution 8k", None, "P-Video takes resolution 720p, 1080p, not “8k”."),
        ("/video a fox --model wan-2-7-i2v", None, "Wan 2.7 I2V needs a picture: give one, or choose another model."),
        ("/video a fox --model hailuo-2-3", ("audio", make_wav(1)), "Hailuo 2.3 does not take audio."),
        ("/video a fox", ("image", make_wav(1)), "That is a sound, not a picture"),
        ("/video a fox", ("audio", make_png()), "That is a picture, not a sound"),
        ("/transcribe", ("audio", make_png()), "That is a picture, not a sound or a video"),
        ("/transcribe", ("audio", b""), "empty"),
        ("/transcribe --model whisper", ("audio", b"RIFF\xff\xff\xff\x7fWAVE"), "sound"),
        ("/transcribe --model whisper", ("audio", make_mp4(1801)), "30:00"),
        ("/transcribe", None, "audio"),
        (
            "/speak --model chatterbox-turbo " + "word " * 2_001,
            None,
            "Chatterbox Turbo speaks 500 characters at once, so this text takes 21 parts, and 20 are the most: give a "
            "shorter text, or choose another model.",
        ),
        ("/speak " + "x" * 20_001, None, "text is 1 characters too long: at most 20000, please."),
        ("/speak hello --model elevenlabs-v3", None, "ElevenLabs v3 is off until my owner agrees to its price."),
        ("/music calm --model stable-audio --duration 191", None, "Stable Audio 2.5 takes duration from 1 to 190"),
        ("/music calm --model lyria-3 --lyrics la", None, "Lyria 3 does not take lyrics. Try minimax-music."),
    ],
)
async def test_bad_input_is_refused_in_a_sentence(
    bench: Bench, line: str, file: tuple[str, bytes] | None, sentence: str
) -> None:
    refused = await bench.say(line, files={} if file is None else {file[0]: file[1]})

    assert refused is not None
    assert sentence in refused.text
    assert refused.is_private
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits
    assert await bench.app.media.list_files() == []


@pytest.mark.parametrize(
    ("line", "content", "sentence"),
    [
        ("/video a fox", make_png(), "The model gave a picture instead of a video. You were not charged."),
        ("/music calm", make_webm(1), "The model gave a video instead of a sound. You were not charged."),
        ("/speak hello", b"nothing", "The model gave something that is not a sound I can read. You were not charged."),
    ],
)
async def test_a_model_that_gives_another_kind_is_not_paid(
    bench: Bench, line: str, content: bytes, sentence: str
) -> None:
    bench.backend.will(picture=content)

    await bench.say(line)

    assert bench.last_message.reply.text == f"⚠ {sentence}"
    assert await bench.balance() == bench.starting_credits


async def test_a_model_that_gives_nothing_is_not_paid(bench: Bench) -> None:
    bench.backend.will(pictures=0)

    await bench.say("/video a fox")

    assert bench.last_message.reply.text == "⚠ The model gave no video. You were not charged."
    assert await bench.balance() == bench.starting_credits


async def test_the_page_speaks_the_answer_before(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        browser = bot.open_browser()
        await browser.post("/api/say", {"text": "/speak"})
        missing = await browser.get_last_message()
        await browser.ask("What do foxes eat?")
        await browser.ask("/speak")

    assert missing["text"] == "text is missing: What should be said?"
    assert [run.inputs["text"] for run in bot.backend.runs.values() if "text" in run.inputs] == ["A short answer."]
