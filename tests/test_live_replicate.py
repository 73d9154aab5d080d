"""Runs the opt-in script for the real service against the sandbox: all claims hold, and broken claims are noticed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.sandbox.faults import FaultKind, SandboxFault
from bot.sandbox.server import Sandbox, SandboxOptions
from tests import live_replicate
from tests.backends.clock import wait_until
from tests.ports import find_free_port

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


async def advance_past_deadline(sandbox: Sandbox) -> None:
    """Advance the sandbox's clock past the long answer's deadline."""
    await wait_until(lambda: any(run.model == live_replicate.LONG.ref for run in sandbox.store.list_newest_first()))
    sandbox.clock.advance(live_replicate.LIFE_SECONDS)


async def run_checks(sandbox: Sandbox, *, fault: str = "") -> tuple[int, str]:
    report: list[str] = []
    if fault:
        sandbox.faults.arm(SandboxFault.parse(FaultKind(fault), None), live_replicate.WORDS.ref, 9)
    port = find_free_port()
    advancing = asyncio.create_task(advance_past_deadline(sandbox))
    broken = await live_replicate.run(
        sandbox.url, sandbox.token, report.append, public_url=f"http://127.0.0.1:{port}", port=port
    )
    await advancing
    return broken, "\n".join(report)


async def test_every_claim_has_a_verdict(sandbox: Sandbox) -> None:
    broken, report = await run_checks(sandbox)

    assert [item for item in ITEMS if f"holds   {item}\n" not in report] == []
    assert (broken, report.endswith("All hold.")) == (0, True)


async def test_a_broken_claim_is_reported(sandbox: Sandbox) -> None:
    broken, report = await run_checks(sandbox, fault="402")

    assert "BROKEN  a check could not be finished\n        RuntimeError: create was refused: 402" in report
    assert "BROKEN  a check could not be finished\n        BackendOutOfCredit" in report
    assert broken == 2
    assert report.endswith("2 did not hold: what is known of Replicate and the code that relies on it are wrong.")


@pytest.mark.parametrize(
    ("token", "arguments", "sentence"),
    [("", ["--yes"], "REPLICATE_API_TOKEN is missing."), ("r8_x", [], "Nothing was spent. Say --yes to spend it.")],
)
def test_a_run_without_token_or_yes_spends_no_money(
    monkeypatch: pytest.MonkeyPatch, token: str, arguments: list[str], sentence: str
) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", token)
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:9")
    report: list[str] = []

    assert live_replicate.main(arguments, report.append) == 2

    assert report[-1] == sentence
    assert sum(live_replicate.COSTS_USD.values()) < 0.05
