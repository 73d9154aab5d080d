"""No order of approve, change, run and revoke spends more than was agreed to: a state machine over the whole bot."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from bot.core.backend import RunMetrics
from bot.core.models import Metric, ModelSchema, PriceTier
from bot.core.people import User
from bot.core.replies import Button, Reply
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.fakes.backend import ScriptedBackend
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import get_outside_work
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, OWNER

REF = "owner/painter"


class PricedBackend(ScriptedBackend):
    """A backend whose published model changes its price and its version."""

    micros, version = 1_000, 1

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        newest = f"{self.version:064x}"
        tiers = (PriceTier(Metric.IMAGE_OUTPUT_COUNT, Fraction(self.micros)),)
        schema = await super().get_schema(ref, version)
        return replace(schema, version=version or newest, newest_version=newest, price_tiers=tiers)


@dataclass
class Asked:
    """A question or a request with buttons, and the version and the price of its moment."""

    reply: Reply
    version: int
    micros: int


class RunMachine(RuleBasedStateMachine):
    """Ana asks and confirms, moderators and the owner approve and withdraw, the price and the version change."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.keys = 0
        self.agreed: dict[int, int] = {}
        """The price agreed to by version, as the rules saw it; withdrawn versions are gone."""
        self.most_micros = 0
        """The sum of the agreed prices of all runs."""
        self.question: Asked | None = None
        self.request: Asked | None = None
        self.runner.run(self.open())

    async def open(self) -> None:
        get_outside_work()
        clock = ManualClock()
        self.backend = PricedBackend(clock)
        self.bench = await Bench.open(Path(self.folder.name), clock=clock, backend=self.backend)
        self.backend.will(metrics=RunMetrics(predict_seconds=1.0))

    def teardown(self) -> None:
        self.runner.run(self.bench.close())
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def press(self, button: Button, by: User) -> Reply | None:
        self.keys += 1
        press = ButtonPress(by, CHANNEL, button.action, button.job, button.n, f"web:machine{self.keys}", "")
        reply: Reply | None = self.run(self.bench.app.dispatcher.handle_press(press))
        self.run(self.bench.wait_until_idle())
        return reply

    def find_requests(self) -> list[Reply]:
        messages = self.bench.platform.messages.values()
        return [one.history[0] for one in messages if "asks to run" in one.history[0].text]

    @rule(change=st.sampled_from(["none", "price", "version", "withdrawal"]))
    def ask_and_confirm(self, change: str) -> None:
        """Ask, let something change while the question stands, and confirm."""
        reply = self.run(self.bench.say(f"/run {REF} a fox"))
        self.question = Asked(reply, self.backend.version, self.backend.micros)
        self.change(change)
        if self.question.reply.buttons:
            self.confirm()

    @rule(change=st.sampled_from(["price", "version", "withdrawal"]))
    def change(self, change: str) -> None:
        if change == "price":
            self.backend.micros += 1_000
        elif change == "version":
            self.backend.version += 1
        elif change == "withdrawal":
            self.withdraw(OWNER)

    @precondition(lambda self: self.question and self.question.reply.buttons)
    @rule()
    def confirm(self) -> None:
        assert self.question is not None
        before, requests = len(self.backend.runs), len(self.find_requests())
        reply = self.press(self.question.reply.buttons[0], ANA)
        if len(self.backend.runs) > before:
            assert self.agreed, "a model ran that nobody approved"
            self.most_micros += max(self.agreed.values())
        if len(self.find_requests()) > requests:
            self.request = Asked(self.find_requests()[-1], self.question.version, self.backend.micros)
        self.question = Asked(reply, self.backend.version, self.backend.micros) if reply else None

    @precondition(lambda self: self.request)
    @rule(by=st.sampled_from([OWNER, MODERATOR, ANA]), n=st.integers(0, 2))
    def decide(self, by: User, n: int) -> None:
        assert self.request is not None
        reply = self.press(self.request.reply.buttons[n], by)
        if reply is None or "is approved" not in reply.text:
            return
        assert by is not ANA
        assert self.request.version == self.backend.version
        assert self.request.micros >= self.backend.micros
        self.agreed[self.request.version] = self.request.micros

    def withdraw(self, by: User) -> None:
        for key in list(self.bench.app.dispatcher.services.catalogue.added):
            self.run(self.bench.say(f"/model remove {key}", by=by))
        if by is OWNER:
            self.agreed.clear()

    @invariant()
    def no_more_is_spent_than_was_agreed_to(self) -> None:
        assert self.run(self.bench.get_bot_spent_micros()) <= self.most_micros
        assert self.run(self.bench.list_open_holds()) == []


def test_no_order_of_approve_change_run_and_revoke_spends_more_than_agreed() -> None:
    few = settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(RunMachine, settings=few)
