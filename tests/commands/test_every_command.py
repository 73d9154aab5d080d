"""Each command of the menu through the dispatcher, with its smallest valid input."""

from collections.abc import Mapping

import pytest

from bot.commands import MENU
from bot.core.invocations import Invocation
from bot.core.replies import Reply, Tone
from bot.dispatch.declaration import Command, OptionValue
from bot.dispatch.parsing import find_command
from tests.bench import Bench, make_attachment
from tests.commands.command_examples import (
    ANA,
    EXAMPLES,
    GOLD,
    OTTO,
    STUDIO,
    CommandExample,
    Options,
    get_example,
    make_required_files,
)
from tests.fakes.samples import CHANNEL, OWNER

# The bench's platform knows no ids: people, roles and channels are named.
NAMES: Mapping[OptionValue, str] = {ANA: "ana", OTTO: "owner", GOLD: "gold", STUDIO: "studio"}


async def run_command(bench: Bench, name: str, options: Options) -> Reply | None:
    declaration = find_command(MENU, name).declaration
    invocation = Invocation(
        user=OWNER,
        channel=CHANNEL,
        command=name,
        request_key=f"web:{name}",
        options={name: NAMES.get(value, value) for name, value in options.items()},
        attachments={name: make_attachment(file) for name, file in make_required_files(declaration).items()},
    )
    reply = await bench.app.dispatcher.handle(invocation)
    await bench.wait_until_idle()
    bench.clock.tick()  # /undo takes the newest picture
    return reply


async def prepare(bench: Bench, example: CommandExample) -> None:
    await bench.say("/help")  # a moderator finds Ana by name from here on
    if example.needs_running_job:
        bench.backend.will(hangs_after=0)
        await bench.say("/imagine a hare", by=OWNER)
    for name, options in example.before:
        await run_command(bench, name, options)


@pytest.mark.parametrize("form", MENU, ids=lambda form: form.declaration.name)
async def test_a_command_replies_or_finishes_a_job(bench: Bench, form: type[Command]) -> None:
    declaration = form.declaration
    example = get_example(declaration)
    await prepare(bench, example)

    reply = await run_command(bench, declaration.name, example.options)

    if declaration.task is None:
        assert reply is not None
        assert reply.tone is not Tone.ERROR, f"{reply.text} (EXAMPLES holds input that /{declaration.name} takes)"
        assert reply.text
    else:
        assert reply is None, reply
        assert bench.last_message.reply.tone is Tone.DONE
        assert bench.backend.last_run.model.task is declaration.task


def test_examples_are_of_commands_in_the_menu() -> None:
    assert set(EXAMPLES) <= {form.declaration.name for form in MENU}
