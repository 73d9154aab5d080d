"""Values of options in typed forms."""

import pytest

from bot.commands.chat import Chat
from bot.commands.edit import Upscale
from bot.commands.imagine import Imagine
from bot.commands.quota.people import QuotaGrant as Grant
from bot.core.errors import BadOption
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.people import Channel, User
from bot.dispatch.declaration import Command, PersonOption
from bot.dispatch.forms import fill_form


def fill(form: type[Command], **options: str | float | bool) -> Command:
    return fill_form(form, build_invocation(form, **options))


def build_invocation(form: type[Command], **options: str | float | bool) -> Invocation:
    user, channel = User("web", "page", "ana", "Ana"), Channel("web", "page", "c")
    return Invocation(user, channel, form.declaration.name, "web:1", options)


def test_a_form_has_typed_values_and_defaults() -> None:
    form = fill(Imagine, prompt=" a fox ", count="2", guidance="7,5", format="PNG")

    assert form == Imagine(prompt="a fox", count=2, guidance=7.5, format="png")


@pytest.mark.parametrize(
    ("form", "options", "sentence"),
    [
        (Imagine, {}, "prompt is missing: What should the picture show?"),
        (Imagine, {"prompt": "   "}, "prompt is empty: What should the picture show?"),
        (Imagine, {"prompt": "x" * 1510}, "prompt is 10 characters too long: at most 1500, please."),
        (Imagine, {"prompt": "x", "count": 5}, "count must be from 1 to 4, not 5."),
        (Imagine, {"prompt": "x", "count": "two"}, "count must be a number, not “two”."),
        (Imagine, {"prompt": "x", "count": "1.5"}, "count must be a whole number, not 1.5."),
        (Imagine, {"prompt": "x", "guidance": "nan"}, "guidance must be a number, not “nan”."),
        (Imagine, {"prompt": "x", "seed": -1}, "seed must be at least 0, not -1."),
        (Imagine, {"prompt": "x", "format": "bmp"}, "format must be one of png, webp, jpg, not “bmp”."),
        (Upscale, {}, "image is missing: Which picture? Attach a file or give a link."),
        (Upscale, {"image": "a", "face_enhance": "perhaps"}, "face_enhance is yes or no, not “perhaps”."),
        (Chat, {"message": "x", "max_tokens": 0}, "max_tokens must be from 1 to 4,096, not 0."),
        (Grant, {"user": "ana", "credits": "-5"}, "credits must be from 0.1 to 1,000,000, not -5."),
    ],
)
def test_bad_input_is_refused_in_a_sentence(
    form: type[Command], options: dict[str, str | float | bool], sentence: str
) -> None:
    with pytest.raises(BadOption) as caught:
        fill(form, **options)

    assert str(caught.value) == sentence
    assert caught.value.option in ("", *(option.name for option in form.declaration.options))


@pytest.mark.parametrize(
    ("typed", "credits_"),
    [
        ("0,125", 0.125),
        ("00,750", 0.75),
        ("7,5", 7.5),
        ("12,25", 12.25),
        ("1,2345", 1.2345),
        ("1,000", 1000.0),
        ("250,000", 250_000.0),
        ("1,000,000", 1_000_000.0),
        ("1.000.000", 1_000_000.0),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1.5", 1.5),
    ],
)
def test_a_number_may_have_the_signs_of_each_language(typed: str, credits_: float) -> None:
    assert fill(Grant, user="ana", credits=typed) == Grant(user=PersonOption("ana"), credits=credits_)


@pytest.mark.parametrize(("typed", "whole", "decimal"), [("1,500", "1500", "1.5"), ("12,345", "12345", "12.345")])
def test_a_number_with_two_readings_is_asked(typed: str, whole: str, decimal: str) -> None:
    with pytest.raises(BadOption, match=f"credits: is “{typed}” {whole} or {decimal}\\? Please write"):
        fill(Grant, user="ana", credits=typed)


def test_the_bounds_of_an_option_leave_one_reading() -> None:
    assert fill(Imagine, prompt="x", strength="0,125") == Imagine(prompt="x", strength=0.125)
    assert fill(Imagine, prompt="x", guidance="7,125") == Imagine(prompt="x", guidance=7.125)
    assert fill(Imagine, prompt="x", seed="1,500") == Imagine(prompt="x", seed=1500)


def test_a_minus_sign_of_its_own_is_a_minus() -> None:
    with pytest.raises(BadOption, match="seed must be at least 0, not -4"):
        fill(Imagine, prompt="x", seed="\u22124")


def test_a_file_is_an_attachment_or_a_link() -> None:
    async def read() -> bytes:
        return b""

    attachment = Attachment("a.png", "image/png", 1, read)
    plain = build_invocation(Upscale)
    with_attachment = Invocation(plain.user, plain.channel, "upscale", "web:1", {}, {"image": attachment})

    assert fill(Upscale, image="<https://example.org/a.png>") == Upscale(image=Link("https://example.org/a.png"))
    assert fill(Upscale, image="example.org/a.png") == Upscale(image=Link("https://example.org/a.png"))
    assert fill_form(Upscale, with_attachment) == Upscale(image=attachment)


def test_a_large_seed_keeps_all_digits() -> None:
    more_than_a_float_keeps = 2**53 + 1

    assert fill(Imagine, prompt="x", seed=str(more_than_a_float_keeps)) == Imagine(
        prompt="x", seed=more_than_a_float_keeps
    )


@pytest.mark.parametrize("seed", ["1e300", str(2**63), 1e300])
def test_a_number_beyond_64_bits_is_refused(seed: str | float) -> None:
    with pytest.raises(BadOption, match="seed is too large a number."):
        fill(Imagine, prompt="x", seed=seed)
