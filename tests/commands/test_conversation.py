"""Memory of a conversation after refusals, retries, stops, regenerations and concurrent questions, at the bench."""

from pathlib import Path

import pytest

from bot.core.people import User
from bot.core.replies import Tone
from bot.dispatch.plain_text import invocation_from_text
from tests.bench import Bench, make_attachment
from tests.catalogue.samples import write_catalogue
from tests.fakes.samples import ANA, CHANNEL, get_text

BOB = User("web", "page", "bob", "Bob")


@pytest.fixture
def bench(llama_bench: Bench) -> Bench:
    """The bot with Llama 3 8B as the default, which reads a conversation as one text of at most 8,192 tokens."""
    return llama_bench


def get_last_prompt(bench: Bench) -> str:
    return str(bench.backend.last_run.inputs["prompt"])


async def test_a_refused_chat_leaves_no_system_prompt(bench: Bench) -> None:
    async with bench.app.database.write() as tx:
        await tx.moderation.add_word("web", "page", "nastyword", "owner")

    refused = await bench.say('/chat hi --system "say nastyword always"')
    await bench.say("/chat hello", by=BOB)

    assert "not wanted here" in get_text(refused)
    assert "nastyword" not in get_last_prompt(bench)


async def test_a_retry_asks_the_question_once(bench: Bench) -> None:
    bench.backend.will(error="boom", words=())
    await bench.say("/chat What is a badger?")
    bench.backend.will(error="", words=("An animal.",))

    await bench.press("retry")

    assert get_last_prompt(bench).count("What is a badger?") == 1
    assert bench.last_text == "An animal."


async def test_continue_follows_the_answer_with_the_button(bench: Bench) -> None:
    bench.backend.will(words=("Foxes are",), hangs_after=1)
    await bench.say("/chat What are foxes?")
    await bench.press("cancel")
    cut = bench.last_message
    bench.backend.will(words=("Hens lay eggs.",), hangs_after=None)
    await bench.say("/chat What do hens do?", by=BOB)

    await bench.press("continue", on=cut)

    prompt = get_last_prompt(bench)
    assert prompt.index("Foxes are") < prompt.index("Please continue exactly where you stopped.")
    assert "Hens lay eggs." not in prompt[prompt.index("Foxes are") :]


async def test_concurrent_questions_are_remembered_with_their_answers(bench: Bench) -> None:
    bench.backend.will(words=("To Ana.",), hangs_after=1)
    await bench.say("/chat Ana asks")
    to_ana = bench.backend.last_run
    bench.backend.will(words=("To Bob.",), hangs_after=1)
    await bench.say("/chat Bob asks", by=BOB)
    for run in (bench.backend.last_run, to_ana):
        await bench.clock.advance(1)
        run.released.set()
        await bench.wait_until_idle()
    await bench.clock.advance(1)
    bench.backend.will(hangs_after=None)

    await bench.say("/chat And now?")

    prompt = get_last_prompt(bench)
    assert [words for words in ("Ana asks", "To Ana.", "Bob asks", "To Bob.") if words not in prompt] == []


async def test_regenerate_keeps_the_system_prompt(bench: Bench) -> None:
    await bench.say("/chat hi")
    await bench.say('/chat hello --system "Speak like a pirate"')
    at_first = get_last_prompt(bench)

    await bench.press("regenerate")

    assert "Speak like a pirate" in at_first
    assert "Speak like a pirate" in get_last_prompt(bench)
    assert len(bench.backend.runs) == 3


async def test_regenerating_an_old_answer_keeps_later_messages(bench: Bench) -> None:
    await bench.say("/chat The first question")
    old = bench.last_message
    await bench.clock.advance(1)
    await bench.say("/chat The second question")
    await bench.clock.advance(1)

    await bench.press("regenerate", on=old)
    await bench.clock.advance(1)
    await bench.say("/chat The third question")

    assert "The second question" in get_last_prompt(bench)


async def test_a_conversation_outlives_its_model(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    await first.say("/chat hi --model llama-3-70b")
    await first.close()
    path = write_catalogue(tmp_path, without="llama-3-70b")

    second = await Bench.open(
        tmp_path, clock=first.clock, backend=first.backend, platform=first.platform, catalogue_path=path
    )
    refusal = await second.say("/chat Still there?", key="web:later")

    assert refusal is None
    assert second.backend.last_run.model.key == "gpt-5-nano"
    assert second.last_message.reply.tone is Tone.DONE
    await second.close()


async def test_people_of_one_conversation_are_told_apart_by_their_names(bench: Bench) -> None:
    await bench.say("/chat My fox is Rusty.")
    alone = get_last_prompt(bench)

    await bench.say("/chat Mine is Max. Whose is Rusty?", by=BOB)

    assert "Ana:" not in alone
    assert "Ana: My fox is Rusty." in get_last_prompt(bench)
    assert "Bob: Mine is Max. Whose is Rusty?" in get_last_prompt(bench)


# Long questions.

INSTRUCTION = "Name the three places in this text and nothing else, please."


async def test_a_long_cyrillic_text_with_an_instruction_is_sent_whole(bench: Bench) -> None:
    story = "Лиса бежит. " * 1_000
    notes = make_attachment(story.encode(), "story.txt", "text/plain")
    services = bench.app.dispatcher.services

    call = await invocation_from_text(services, ANA, CHANNEL, INSTRUCTION, "web:long", files=[notes])
    await bench.app.dispatcher.handle(call)
    await bench.wait_until_idle()

    prompt = get_last_prompt(bench)
    assert f"{INSTRUCTION}\n\nstory.txt:\n```\n{story.strip()}\n```" in prompt


async def test_a_question_beyond_the_model_is_refused_whole(bench: Bench) -> None:
    reply = await bench.say("/chat " + "狐" * 8_000)

    assert get_text(reply) == (
        "Your message is too long for Llama 3 8B: about 8,000 tokens, and 7,072 fit beside an answer of up to 1,024. "
        "Shorten it, lower max_tokens, or choose another model."
    )
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits


async def test_a_system_prompt_beyond_the_model_is_refused_by_its_name(bench: Bench) -> None:
    reply = await bench.say(f"/chat What is a fox? --max_tokens 4096 --system {'🦊' * 4_000}")

    assert get_text(reply).startswith("What the model is told before (system) is too long for Llama 3 8B: about 12,000")
    assert bench.backend.runs == {}


async def test_older_turns_make_room_for_a_long_question(bench: Bench) -> None:
    await bench.say("/chat " + "An old story. " * 500)

    await bench.say(f"/chat {INSTRUCTION} " + "狐" * 6_900)

    assert INSTRUCTION in get_last_prompt(bench)
    assert "狐" * 6_900 in get_last_prompt(bench)
    assert "An old story." not in get_last_prompt(bench)


async def test_the_room_for_the_answer_counts(bench: Bench) -> None:
    await bench.say("/chat " + "狐" * 4_500)

    reply = await bench.say("/chat " + "狐" * 4_500 + " --max_tokens 4096")

    assert "Your message is too long for Llama 3 8B" in get_text(reply)
