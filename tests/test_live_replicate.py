"""The opt-in script for the real service, run against the sandbox: it works, and it notices what is broken."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from bot.sandbox.faults import FaultKind, SandboxFault
from bot.sandbox.server import Sandbox, SandboxOptions
from tests import live_replicate
from tests.backends.clock import wait_until

ITEMS = (
    "a new prediction is in the list",
    "the list has the fields that adoption reads",
    "the listed input equals what was sent",
    "the backend finds it, and it alone",
    "Cancel-After is echoed as a deadline",
    "a run ends at its deadline",
    "a text has a stream",
    "the stream of a text needs no token",
    "the stream of a text ends with done",
    "a picture has a stream",
    "the stream of a picture needs no token",
    "the stream of a picture ends with done",
    "the bot's client streams an answer",
    "tokens are metered",
    "a webhook comes, with its query kept",
    "its signature is as documented",
)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxOptions(speed=0.0))
    await sandbox.start()
    sandbox.faults.arm(SandboxFault.parse("hang", None), live_replicate.LONG.ref, 1)
    yield sandbox
    await sandbox.stop()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def pass_the_deadline(sandbox: Sandbox) -> None:
    """The long answer's five seconds, in none."""
    await wait_until(lambda: any(run.model == live_replicate.LONG.ref for run in sandbox.store.list_newest_first()))
    sandbox.clock.advance(live_replicate.LIFE_SECONDS)


async def verdicts(sandbox: Sandbox, *, fault: str = "") -> tuple[int, str]:
    told: list[str] = []
    if fault:
        sandbox.faults.arm(SandboxFault.parse(FaultKind(fault), None), live_replicate.WORDS.ref, 9)
    port = free_port()
    passing = asyncio.create_task(pass_the_deadline(sandbox))
    broken = await live_replicate.run(
        sandbox.url, sandbox.token, told.append, public_url=f"http://127.0.0.1:{port}", port=port
    )
    await passing
    return broken, "\n".join(told)


async def test_every_item_has_its_verdict(sandbox: Sandbox) -> None:
    broken, told = await verdicts(sandbox)

    assert [item for item in ITEMS if f"holds   {item}\n" not in told] == []
    assert (broken, told.endswith("All hold.")) == (0, True)


async def test_what_does_not_hold_is_said(sandbox: Sandbox) -> None:
    broken, told = await verdicts(sandbox, fault="402")

    assert "BROKEN  a check could not be finished\n        RuntimeError: create was refused: 402" in told
    assert "BROKEN  a check could not be finished\n        BackendOutOfCredit" in told
    assert broken == 2
    assert told.endswith("2 did not hold: what is known of Replicate and the code that relies on it are wrong.")


@pytest.mark.parametrize(
    ("token", "arguments", "sentence"),
    [("", ["--yes"], "REPLICATE_API_TOKEN is missing."), ("r8_x", [], "Nothing was spent. Say --yes to spend it.")],
)
def test_nothing_is_spent_by_accident(
    monkeypatch: pytest.MonkeyPatch, token: str, arguments: list[str], sentence: str
) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", token)
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")
    told: list[str] = []

    assert live_replicate.main(arguments, told.append) == 2

    assert told[-1] == sentence
    assert sum(live_replicate.COSTS_USD.values()) < 0.05
