"""Rendering: replies as Discord's messages and forms as modals, within Discord's limits."""

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
def test_a_placeholder_shows_stage_position_and_time(progress: Progress, line: str) -> None:
    assert (
        render_payload(Reply(progress=progress, note="FLUX · 3 credits"))["content"] == f"{line}\n-# FLUX · 3 credits"
    )


def test_text_replaces_progress() -> None:
    reply = Reply("Foxes", progress=Progress(Stage.RUNNING, elapsed_seconds=3), note="Llama")

    assert render_payload(reply)["content"] == "Foxes\n-# Llama"


def test_the_note_is_dropped_before_the_text_is_cut() -> None:
    assert render_payload(Reply("x" * 1990, note="a long line of facts"))["content"] == "x" * 1990
    assert len(str(render_payload(Reply("[a](http://b) " * 142))["content"])) <= 2000


def test_an_empty_reply_renders_an_ellipsis() -> None:
    assert render_payload(Reply())["content"] == "…"


def test_components_stay_within_discord_s_limits() -> None:
    buttons = tuple(Button(action, action * 30, "j" * 20, n) for action in ("vary", "upscale") for n in (1, 2, 3, 4))
    pictures = (PICTURE,) * 4
    reply = Reply("x" * 3000, pictures, note="facts", buttons=(Button("again", "Again", "j" * 20), *buttons))

    payload = render_payload(reply, names=["fox.png"] * 4)

    assert list(validate_components(payload["components"], is_v2=True, filenames={"fox.png"})) == []
    assert [str(row).count("custom_id") for row in render_button_rows(reply.buttons)] == [4, 4, 1]


def test_a_missing_picture_is_left_out_and_remarked() -> None:
    payload = render_payload(
        Reply(pictures=(PICTURE, PICTURE)), names=["", "fox.png"], remark="a picture is not kept any more"
    )

    gallery, note = payload["components"]
    assert [item["media"]["url"] for item in gallery["items"]] == ["attachment://fox.png"]
    assert note["content"] == "-# a picture is not kept any more"


def test_no_message_notifies_users() -> None:
    assert render_payload(Reply("@everyone"))["allowed_mentions"] == {"parse": []}
    assert render_payload(Reply("@everyone", is_visual=True))["allowed_mentions"] == {"parse": []}


def test_a_custom_id_is_parsed_as_built_and_foreign_ids_are_refused() -> None:
    custom_id = build_custom_id("upscale", "06h0sxvj3ja2fmc9kjj6", 4)

    assert len(custom_id) <= 100
    found = parse_custom_id(custom_id)
    assert found is not None
    assert (found.action, found.job, found.n) == ("upscale", "06h0sxvj3ja2fmc9kjj6", 4)
    assert not found.is_answer_public
    public = parse_custom_id(build_custom_id("confirm", "06h0sxvj3ja2fmc9kjj6", is_answer_public=True))
    assert public is not None
    assert public.is_answer_public
    assert [parse_custom_id(other) for other in ("", "easel", "easel:a:b:c", "other:a:b:1", "easel:a:b:1:2")] == [
        None
    ] * 5


def test_the_show_button_keeps_the_stop_button() -> None:
    reply = Reply("", buttons=(Button("cancel", "Stop", "j"),), tone=Tone.WORKING, is_visual=True, is_private=True)

    reply_with_show = add_show_button(reply, "j")

    assert [button.label for button in reply_with_show.buttons] == ["Show", "Stop"]
    assert reply_with_show.is_visual
    assert reply_with_show.is_private
    assert add_ask_button(reply) == reply


# Forms.


@pytest.mark.parametrize("form", MENU, ids=lambda form: form.declaration.name)
async def test_each_command_has_a_form_within_discord_s_limits(bench: Bench, form: type[Command]) -> None:
    services = bench.app.dispatcher.services
    known: dict[str, OptionValue] = {"prompt": "a fox", "model": "flux-dev", "count": 2, "allowed": True}
    draft = FormDraft(form.declaration, known, "x" * 60)

    payload = render_modal(draft, build_custom_id("edit", "j" * 20, prefix="easel-form"), services)

    if payload["components"]:
        assert list(validate_modal(payload)) == []


async def test_a_form_is_filled_in_with_known_values(bench: Bench) -> None:
    declaration = next(form.declaration for form in MENU if form.declaration.name == "imagine")
    values: dict[str, OptionValue] = {"prompt": "a fox", "model": "flux-dev", "count": 2, "strength": 0.5}
    asks_for = ("prompt", "strength", "model", "count", "seed")

    payload = render_modal(FormDraft(declaration, values, "Edit", asks_for), "id", bench.app.dispatcher.services)

    fields = {row["component"]["custom_id"]: row["component"] for row in payload["components"]}
    assert list(fields) == list(asks_for)
    assert fields["prompt"]["value"] == "a fox"
    assert [choice["value"] for choice in fields["model"]["options"] if choice.get("default")] == ["flux-dev"]
    assert fields["strength"]["value"] == "0.5"
    assert [choice["label"] for choice in fields["count"]["options"] if choice.get("default")] == ["2 · 50 credits"]
    assert "value" not in fields["seed"]


def test_a_submitted_form_is_parsed_into_options() -> None:
    submission = {
        "components": [
            {"type": 18, "component": {"type": 4, "custom_id": "prompt", "value": "a fox"}},
            {"type": 18, "component": {"type": 3, "custom_id": "model", "values": ["flux-dev"]}},
            {"type": 18, "component": {"type": 3, "custom_id": "format", "values": []}},
            {"type": 1, "components": [{"type": 4, "custom_id": "seed", "value": ""}]},
        ]
    }

    assert parse_form(submission) == {"prompt": "a fox", "model": "flux-dev", "format": "", "seed": ""}


def test_form_input_is_quoted_whole_in_one_code_block() -> None:
    refusal = Reply("No.", tone=Tone.ERROR)

    reply = quote_form_input(
        refusal, {"prompt": "a ```fox```", "negative": "x" * 1500, "model": "flux-dev", "seed": ""}
    )

    assert reply.text.count("```") == 2
    assert "prompt: a ˋˋˋfoxˋˋˋ\n" in reply.text
    assert "x" * 1500 in reply.text
    assert "seed" not in reply.text
    assert quote_form_input(refusal, {"prompt": " "}) == refusal
    assert quote_form_input(Reply("Go ahead?"), {"prompt": "a fox"}) == Reply("Go ahead?")
