"""/chat with models that take messages, system words in a field of their own, and pictures, at the bench."""

from bot.commands.chat import Chat
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_png


async def test_turns_are_sent_as_messages(bench: Bench) -> None:
    await bench.invoke(Chat(message="Hi", model="gpt-5-mini", system="Be brief."))
    answer = bench.last_text
    await bench.invoke(Chat(message="How are you?"))

    inputs = bench.backend.last_run.inputs
    assert inputs["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "How are you?"},
    ]
    assert "prompt" not in inputs
    assert inputs["max_completion_tokens"] == 1024


async def test_system_words_have_a_field_and_a_single_question_stands_alone(bench: Bench) -> None:
    await bench.invoke(Chat(message="Hi", model="gemini-flash", system="Be brief."))

    inputs = bench.backend.last_run.inputs
    assert (inputs["system_instruction"], inputs["prompt"]) == ("Be brief.", "Hi")


async def test_pictures_go_to_models_that_see(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green"))

    await bench.invoke(Chat(message="Which is red?", images=pictures))
    assert len(str(bench.backend.last_run.inputs["image_input"]).split("data:")) == 3

    await bench.invoke(Chat(message="And this?", images=pictures[:1], model="claude-haiku"))
    assert str(bench.backend.last_run.inputs["image"]).startswith("data:image/png")


async def test_more_pictures_than_a_model_sees_are_refused(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green"))

    refused = await bench.invoke(Chat(message="Which?", images=pictures, model="claude-haiku"))

    assert refused is not None
    assert refused.text.startswith("Claude 4.5 Haiku takes one file as image, not 2. Try gpt-5-nano")
    assert await bench.balance() == bench.starting_credits


async def test_a_temperature_that_a_model_has_not_is_left_out_and_named(bench: Bench) -> None:
    assert await bench.say("/chat Hi --model claude-haiku --temperature 1") is None

    assert "temperature" not in bench.backend.last_run.inputs
    assert "without temperature, which Claude 4.5 Haiku does not have" in bench.last_message.reply.note


async def test_the_first_answer_without_the_oldest_messages_says_so(bench: Bench) -> None:
    words = "fox " * 3_000
    notes = []
    for n in range(5):
        await bench.say(f"/chat {n} {words} --model llama-3-8b")
        notes.append(bench.last_message.reply.note)

    told = [note for note in notes if "no longer fit" in note]
    assert len(told) == 1, notes
