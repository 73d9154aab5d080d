"""The words of one watch: each once, in order, whatever the stream repeats."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backends.replicate.snapshots import without_prefix
from bot.backends.replicate.transcript import Transcript

PREFIXES = ("ab", "abba")
TOKENS = st.lists(st.text("ab \n", max_size=3), max_size=8)


@settings(deadline=None)  # a busy machine is no bug
@given(TOKENS, st.data())
def test_cuts_repeats_and_looks_add_up_to_the_text(tokens: list[str], data: st.DataObject) -> None:
    whole = "".join(tokens)
    prefixes = data.draw(st.sampled_from([(), PREFIXES]))
    transcript = Transcript(prefixes)
    given_out = ""
    for stop in data.draw(st.lists(st.integers(0, len(tokens)), max_size=3)):
        transcript.rewind()
        given_out += "".join(transcript.hear(token) for token in tokens[:stop])
        given_out += transcript.read(whole[: data.draw(st.integers(0, len(whole)))])
    given_out += transcript.read(whole, is_final=True)

    assert given_out == without_prefix(whole, prefixes)


def test_a_stream_that_contradicts_what_was_said_is_held_back() -> None:
    transcript = Transcript()
    transcript.read("one two")

    assert [transcript.hear(token) for token in ("one", " three", " four")] == ["", "", ""]
    assert transcript.read("one two three") == " three"


def test_a_stream_joined_late_is_held_back_until_a_look_agrees() -> None:
    transcript = Transcript()
    transcript.read("one two")

    assert transcript.hear(" three") == ""
    assert transcript.read("something else") == ""
