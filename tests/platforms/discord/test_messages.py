"""Replies as Discord's messages, and forms as its modals: what each looks like, within Discord's bounds."""

import pytest

from bot.commands import MENU
from bot.core.replies import Button, Picture, Progress, Reply, Stage, Tone
from bot.dispatch.declaration import Command, OptionValue
from bot.dispatch.forms import FormDraft
from bot.platforms.discord.forms import parse_form, quote_form_input, render_modal
from bot.platforms.discord.messages import (
    add_ask_button,
    add_show_button,
    build_custom_id,
    parse_custom_id,
    render_button_rows,
    render_payload,
)
from tests.bench import Bench
from tests.emulators.discord.components import validate_components, validate_modal

PICTURE = Picture("0" * 64, "image/png", 8, 8, "a fox " * 400, "fox.png")


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(Stage.QUEUED), "⏳ Waiting in line"),
        (Progress(Stage.QUEUED, queue_position=1), "⏳ You are next"),
        (Progress(Stage.QUEUED, queue_position=3), "⏳ Number 3 in line"),
        (Progress(Stage.STARTING, elapsed_seconds=4, usual_seconds=40), "⏳ Waking the model up · 4 s of usually 40 s"),
        (Progress(Stage.RUNNING, 30, 12), "⏳ Working on it · ▰▰▰▱▱▱▱▱▱▱ 30 % · 12 s"),
        (Progress(Stage.RUNNING, 100, 12, 10), "⏳ Working on it · ▰▰▰▰▰▰▰▰▰▰ 100 % · 12 s of usually 10 s"),
    ],
)
def test_a_placeholder_says_where_its_job_is(progress: Progress, line: str) -> None:
    assert (
        render_payload(Reply(progress=progress, note="FLUX · 3 credits"))["content"] == f"{line}\n-# FLUX · 3 credits"
    )


def test_words_take_the_place_of_progress() -> None:
    reply = Reply("Foxes", progress=Progress(Stage.RUNNING, elapsed_seconds=3), note="Llama")

    assert render_payload(reply)["content"] == "Foxes\n-# Llama"


def test_facts_are_left_out_before_words_are_cut() -> None:
    assert render_payload(Reply("x" * 1990, note="a long line of facts"))["content"] == "x" * 1990
    assert len(str(render_payload(Reply("[a](http://b) " * 142))["content"])) <= 2000


def test_a_reply_of_nothing_is_still_a_message() -> None:
    assert render_payload(Reply())["content"] == "…"


def test_a_layout_stays_within_discord_s_bounds() -> None:
    buttons = tuple(Button(action, action * 30, "j" * 20, n) for action in ("vary", "upscale") for n in (1, 2, 3, 4))
    pictures = (PICTURE,) * 4
    reply = Reply("x" * 3000, pictures, note="facts", buttons=(Button("again", "Again", "j" * 20), *buttons))

    told = render_payload(reply, names=["fox.png"] * 4)

    assert list(validate_components(told["components"], is_v2=True, filenames={"fox.png"})) == []
    assert [str(row).count("custom_id") for row in render_button_rows(reply.buttons)] == [4, 4, 1]


def test_a_picture_that_cannot_be_shown_is_left_out_and_the_others_are() -> None:
    told = render_payload(
        Reply(pictures=(PICTURE, PICTURE)), names=["", "fox.png"], remark="a picture is not kept any more"
    )

    gallery, note = told["components"]
    assert [item["media"]["url"] for item in gallery["items"]] == ["attachment://fox.png"]
    assert note["content"] == "-# a picture is not kept any more"


def test_nobody_is_pinged_whatever_is_shown() -> None:
    assert render_payload(Reply("@everyone"))["allowed_mentions"] == {"parse": []}
    assert render_payload(Reply("@everyone", is_visual=True))["allowed_mentions"] == {"parse": []}


def test_custom_ids_say_what_a_button_does() -> None:
    written = build_custom_id("upscale", "06h0sxvj3ja2fmc9kjj6", 4)

    assert len(written) <= 100
    found = parse_custom_id(written)
    assert found is not None
    assert (found.action, found.job, found.n) == ("upscale", "06h0sxvj3ja2fmc9kjj6", 4)
    assert not found.is_answer_public
    public = parse_custom_id(build_custom_id("confirm", "06h0sxvj3ja2fmc9kjj6", is_answer_public=True))
    assert public is not None
    assert public.is_answer_public
    assert [parse_custom_id(other) for other in ("", "easel", "easel:a:b:c", "other:a:b:1", "easel:a:b:1:2")] == [
        None
    ] * 5


def test_a_dying_message_keeps_its_stop_button_beside_show() -> None:
    reply = Reply("", buttons=(Button("cancel", "Stop", "j"),), tone=Tone.WORKING, is_visual=True, is_private=True)

    shown = add_show_button(reply, "j")

    assert [button.label for button in shown.buttons] == ["Show", "Stop"]
    assert shown.is_visual
    assert shown.is_private
    assert add_ask_button(reply) == reply


# Forms.


@pytest.mark.parametrize("form", MENU, ids=lambda form: form.declaration.name)
async def test_each_command_has_a_form_that_discord_takes(bench: Bench, form: type[Command]) -> None:
    services = bench.app.dispatcher.services
    known: dict[str, OptionValue] = {"prompt": "a fox", "model": "flux-dev", "count": 2, "allowed": True}
    draft = FormDraft(form.declaration, known, "x" * 60)

    made = render_modal(draft, build_custom_id("edit", "j" * 20, prefix="easel-form"), services)

    if made["components"]:
        assert list(validate_modal(made)) == []


async def test_a_form_is_filled_in_with_what_is_known(bench: Bench) -> None:
    declaration = next(form.declaration for form in MENU if form.declaration.name == "imagine")
    values: dict[str, OptionValue] = {"prompt": "a fox", "model": "flux-dev", "count": 2, "strength": 0.5}
    asks_for = ("prompt", "strength", "model", "count", "seed")

    made = render_modal(FormDraft(declaration, values, "Edit", asks_for), "id", bench.app.dispatcher.services)

    fields = {row["component"]["custom_id"]: row["component"] for row in made["components"]}
    assert list(fields) == list(asks_for)
    assert fields["prompt"]["value"] == "a fox"
    assert [choice["value"] for choice in fields["model"]["options"] if choice.get("default")] == ["flux-dev"]
    assert fields["strength"]["value"] == "0.5"
    assert fields["count"]["value"] == "2"
    assert "value" not in fields["seed"]


def test_what_comes_back_of_a_form_are_options() -> None:
    sent = {
        "components": [
            {"type": 18, "component": {"type": 4, "custom_id": "prompt", "value": "a fox"}},
            {"type": 18, "component": {"type": 3, "custom_id": "model", "values": ["flux-dev"]}},
            {"type": 18, "component": {"type": 3, "custom_id": "format", "values": []}},
            {"type": 1, "components": [{"type": 4, "custom_id": "seed", "value": ""}]},
        ]
    }

    assert parse_form(sent) == {"prompt": "a fox", "model": "flux-dev", "format": "", "seed": ""}


def test_what_was_typed_is_given_back_whole_without_breaking_the_message() -> None:
    refused = Reply("No.", tone=Tone.ERROR)

    told = quote_form_input(refused, {"prompt": "a ```fox```", "negative": "x" * 1500, "model": "flux-dev", "seed": ""})

    assert told.text.count("```") == 2
    assert "prompt: a ˋˋˋfoxˋˋˋ\n" in told.text
    assert "x" * 1500 in told.text
    assert "seed" not in told.text
    assert quote_form_input(refused, {"prompt": " "}) == refused
    assert quote_form_input(Reply("Go ahead?"), {"prompt": "a fox"}) == Reply("Go ahead?")
