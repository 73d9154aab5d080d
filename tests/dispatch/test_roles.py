"""Commands above a user's rank: refused as a command, a button, a form and a forged payload."""

from dataclasses import replace

import pytest

from bot.commands import MENU
from bot.core.errors import ConfirmationRequired, Unavailable
from bot.core.invocations import Invocation
from bot.core.people import Rank, User
from bot.core.replies import Tone
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import Declaration, OptionKind
from bot.dispatch.dispatcher import Dispatcher
from bot.storage.moderation import AuditStore
from tests.bench import Bench
from tests.fakes.failing_calls import fail_next_calls
from tests.fakes.samples import BEN, CHANNEL, ELSEWHERE, MODERATOR, get_text

GUARDED = [form.declaration for form in MENU if form.declaration.rank > Rank.USER]
MODERATORS = [declaration for declaration in GUARDED if declaration.rank is Rank.MODERATOR]
OWNERS = [declaration for declaration in GUARDED if declaration.rank is Rank.OWNER]

_FILLED = {OptionKind.INTEGER: 1, OptionKind.NUMBER: 1.0, OptionKind.FLAG: True}


def fill_required(declaration: Declaration) -> dict[str, str | int | float | bool]:
    """Return a valid value of each required option."""
    values: dict[str, str | int | float | bool] = {}
    for option in declaration.options:
        if option.is_required:
            values[option.name] = option.choices[0] if option.choices else _FILLED.get(option.kind, "ana")
    return values


async def expect_refusal(bench: Bench, declaration: Declaration, by: User, **changes: object) -> str:
    invocation = Invocation(by, replace(CHANNEL, workspace=by.workspace), declaration.name, f"web:{declaration.name}")
    reply = await dispatcher(bench).handle(replace(invocation, options=fill_required(declaration), **changes))  # type: ignore[arg-type]  # any field
    assert reply is not None
    assert reply.tone is Tone.ERROR, f"{by.name} may /{declaration.name}: {reply.text}"
    return reply.text


def dispatcher(bench: Bench) -> Dispatcher:
    return bench.app.dispatcher


async def list_refusals(bench: Bench, by: User) -> list[str]:
    async with bench.app.database.read() as tx:
        rows = await tx.audit.list_rows(by.platform, by.workspace, 50, actor=by.actor, kind="refused")
    return [str(row.facts["what"]) for row in rows]


def test_the_menu_has_commands_of_each_rank() -> None:
    assert len(MODERATORS) > 20
    assert {"setup", "pause", "resume", "quota budget set"} <= {declaration.name for declaration in OWNERS}


async def test_a_plain_user_is_refused_and_recorded(bench: Bench) -> None:
    for declaration in GUARDED:
        refused = await expect_refusal(bench, declaration, BEN)

        assert refused.startswith(f"/{declaration.name} is for ")
    assert await list_refusals(bench, BEN) == [f"/{declaration.name}" for declaration in reversed(GUARDED)]


async def test_a_moderator_is_refused_commands_of_the_owner(bench: Bench) -> None:
    for declaration in OWNERS:
        assert await expect_refusal(bench, declaration, MODERATOR) == f"/{declaration.name} is for my owner."
    assert await list_refusals(bench, MODERATOR) == [f"/{declaration.name}" for declaration in reversed(OWNERS)]


async def test_a_moderator_of_a_workspace_without_permission_is_refused(bench: Bench) -> None:
    for declaration in MODERATORS:
        refused = await expect_refusal(bench, declaration, ELSEWHERE)

        assert refused.startswith("This workspace is not on my list yet.")
    assert len(await list_refusals(bench, ELSEWHERE)) == len(MODERATORS)


async def test_a_role_of_another_workspace_makes_no_moderator(bench: Bench) -> None:
    await bench.say("/settings moderators mods", by=MODERATOR)
    there = replace(BEN, workspace="elsewhere", roles=frozenset({"mods"}))
    await dispatcher(bench).services.moderation.admin.allow_workspace(there)

    for declaration in GUARDED:
        assert (await expect_refusal(bench, declaration, there)).startswith(f"/{declaration.name} is for ")


async def test_no_forged_press_or_form_avoids_the_rank(bench: Bench) -> None:
    # The payloads name a command in place of an action or a job, and answer questions without a row.
    await bench.say("/imagine a fox", by=BEN)
    job = (await bench.get_job()).id
    for declaration in GUARDED:
        forged = [
            ButtonPress(BEN, CHANNEL, declaration.name, job, 0, "web:f1", "m"),
            ButtonPress(BEN, CHANNEL, "confirm", declaration.name, 0, "web:f2", "m"),
            ButtonPress(BEN, CHANNEL, "show", declaration.name, 0, "web:f3", "m"),
        ]

        replies = [await dispatcher(bench).handle_press(press) for press in forged]
        replies += [await dispatcher(bench).submit_form(press, fill_required(declaration)) for press in forged]

        assert all(reply is not None and reply.tone is Tone.ERROR for reply in replies), declaration.name
    assert await bench.say("/imagine a cat", by=BEN) is None


async def test_an_invocation_with_a_forged_rank_is_refused(bench: Bench) -> None:
    for declaration in GUARDED:
        refused = await expect_refusal(
            bench, declaration, BEN, is_confirmed=True, confirmed_micros=10**9, rank=Rank.OWNER
        )

        assert refused.startswith(f"/{declaration.name} is for ")


async def test_a_rank_lost_between_question_and_answer_is_refused(bench: Bench) -> None:
    waiting = Invocation(MODERATOR, CHANNEL, "words list", "web:w", is_confirmed=True)
    question = await dispatcher(bench).confirmations.ask(waiting, ConfirmationRequired("Are you sure?"))
    demoted = replace(MODERATOR, is_administrator=False)

    press = ButtonPress(demoted, CHANNEL, "confirm", question.buttons[0].job, 0, "web:p", "m")
    refused = await dispatcher(bench).handle_press(press)

    assert get_text(refused) == "/words list is for a moderator of this workspace."


@pytest.mark.parametrize("action", ["cancel", "delete", "report", "again", "edit"])
async def test_a_moderator_of_another_workspace_may_press_no_button(bench: Bench, action: str) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say("/imagine a fox")
    job = (await bench.get_job()).id
    await dispatcher(bench).services.moderation.admin.allow_workspace(ELSEWHERE)

    reply = await dispatcher(bench).handle_press(
        ButtonPress(ELSEWHERE, replace(CHANNEL, workspace="other"), action, job, 0, "w", "m")
    )

    assert get_text(reply) == "That job is not here any more, so its buttons do nothing."
    assert not bench.backend.cancelled


async def test_a_flood_of_forged_actions_is_recorded_once(bench: Bench) -> None:
    stranger = replace(BEN, workspace="elsewhere")

    for n in range(50):
        await dispatcher(bench).handle_press(ButtonPress(stranger, CHANNEL, f"made-up-{n}", "x", 0, f"web:{n}", "m"))

    assert await list_refusals(bench, stranger) == ["button"]


async def test_a_refusal_is_shown_even_if_recording_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    to_come = fail_next_calls(monkeypatch, AuditStore, "add", Unavailable("busy"))

    reply = await bench.say("/quota grant bob 5")

    assert to_come == []
    assert reply is not None
    assert reply.text == "/quota grant is for a moderator of this workspace."
