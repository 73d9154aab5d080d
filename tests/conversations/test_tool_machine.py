"""A state machine of chats with tools: whatever is pressed, set or killed, each call is told and charged once."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from bot.conversations.tools import MAX_CALLS
from bot.core.jobs import OPEN_STATES, Job, JobState
from bot.core.people import User
from bot.credits.ledger import verify_ledger
from tests.bench import Bench
from tests.fakes.backend import ScriptedRun
from tests.fakes.samples import ANA, BEN, MODERATOR
from tests.storage.raw import execute

COSTLY_CREDITS = 8
EXAMPLES = 10

DRAW = ("Here it comes.", '\n{"tool": "imag', 'ine", "prompt": "a fox in snow"}')
ANSWERS = {
    "words": ("Just ", "words."),
    "draw": DRAW,
    "draw four": ('{"tool": "imagine", "prompt": "four foxes", "count": 4}',),
    "speak": ("Listen.\n", '{"tool": "speak", "text": "a fox"}'),
    "upscale": ("Larger:\n", '{"tool": "upscale", "scale": 2}'),
    "caption": ('{"tool": "caption", "question": "what is that?"}',),
    "no such tool": ('{"tool": "shell", "command": "ls"}',),
    "out of bounds": ('{"tool": "imagine", "prompt": "a fox", "count": 90}',),
    "half": ('I draw.\n{"tool": "imagine", "prom',),
    "in prose": ('I call {"tool": "imagine", "prompt": "a fox"} and go on.',),
    "two calls": ('{"tool": "speak", "text": "a"}\n{"tool": "imagine", "prompt": "a fox"}',),
}
people = st.sampled_from([ANA, BEN])
plans = st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=4)
confirmations = st.sampled_from([0, COSTLY_CREDITS])
indices = st.integers(0, 7)


class ToolMachine(RuleBasedStateMachine):
    """Two people ask; runs wait until a rule ends them; the process dies after any commit."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.bench = self.run(Bench.open(Path(self.folder.name)))
        self.commits_left: int | None = None
        self.main: asyncio.Task[None] | None = None
        self.questions = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(plan=plans, credits_=confirmations)
    def begin(self, plan: list[str], credits_: int) -> None:
        self.say("/settings chat --tools on", by=MODERATOR)
        self.set_confirmation(credits_)
        self.bench.backend.will(hangs_after=0)
        self.ask(ANA, plan)

    def say(self, line: str, **options: Any) -> None:
        self.act(self.bench.say(line, **options))

    def act(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do what a person does, also if the process dies meanwhile; a dead process is followed by the next."""
        self.run(self._act(work))

    async def _act(self, work: Coroutine[Any, Any, Any]) -> None:
        self.main = asyncio.current_task()
        await asyncio.gather(asyncio.ensure_future(work), return_exceptions=True)
        if self.commits_left is not None and self.commits_left <= 0:
            await self._begin_again()

    async def _begin_again(self) -> None:
        self.commits_left = None
        await self.bench.close()
        self.bench = await self.bench.open_again(Path(self.folder.name))
        await self.bench.wait_until_idle()

    @rule(by=people, plan=plans)
    def ask(self, by: User, plan: list[str]) -> None:
        self.questions += 1
        self.bench.backend.answers += [ANSWERS[name] for name in plan]
        self.say(f"/chat question {self.questions}", by=by)

    @rule(index=indices, count=st.integers(1, 4))
    def end_runs(self, index: int, count: int) -> None:
        for _ in range(count):
            if waiting := self.list_waiting():
                self.act(self.end(waiting[index % len(waiting)]))

    def list_waiting(self) -> list[ScriptedRun]:
        return [run for run in self.bench.backend.runs.values() if not run.released.is_set()]

    async def end(self, run: ScriptedRun) -> None:
        run.released.set()
        await self.bench.wait_until_idle()

    @rule(index=indices, by=people)
    def stop(self, index: int, by: User) -> None:
        self.press("cancel", index, by)

    @rule(index=indices, by=people, action=st.sampled_from(["confirm", "confirm", "decline"]))
    def answer_a_question(self, index: int, by: User, action: str) -> None:
        self.press(action, index, by)

    def press(self, action: str, index: int, by: User) -> None:
        """Press a button of a shown message; without such a button, let a run end."""
        messages = self.bench.platform.messages.values()
        if shown := [m for m in messages if any(button.action == action for button in m.reply.buttons)]:
            self.act(self.bench.press(action, on=shown[index % len(shown)], by=by))
        else:
            self.end_runs(index, 1)

    @rule(value=st.sampled_from(["on", "off"]))
    def set_tools(self, value: str) -> None:
        self.say(f"/settings chat --tools {value}", by=MODERATOR)

    @rule(credits_=confirmations)
    def set_confirmation(self, credits_: int) -> None:
        self.say(f"/settings general --confirm_above {credits_}", by=MODERATOR)

    @rule(by=people, credits_=st.sampled_from([0, 5, 100]))
    def set_limit(self, by: User, credits_: int) -> None:
        self.say(f"/quota set --user {by.id} --day {credits_}", by=MODERATOR)

    @rule(index=indices, commits=st.integers(1, 9))
    def die_while_runs_end(self, index: int, commits: int) -> None:
        """Let the process die after a number of further commits, in the middle of what a run leads on to."""
        self.commits_left = commits
        database = self.bench.app.database
        for name in ("write", "accept"):
            setattr(database, name, partial(_Dying, self, getattr(database, name)))
        self.end_runs(index, 2)

    @rule(seconds=st.sampled_from([1, 20]))
    def pass_time(self, seconds: int) -> None:
        self.act(self.bench.advance_time(seconds))

    def teardown(self) -> None:
        try:
            self.run(self.end_all())
        finally:
            self.run(self.bench.close())
            self.runner.close()
            self.folder.cleanup()

    async def end_all(self) -> None:
        await self._begin_again()
        while self.bench.app.runner.running_count:
            for run in self.list_waiting():
                run.released.set()
            await self.bench.advance_time(20)
        await check_ended(self.bench)


class _Dying:
    """A transaction after whose commit the process may die."""

    def __init__(self, machine: ToolMachine, begin: Any, **options: Any) -> None:
        self.machine, self.transaction = machine, begin(**options)

    async def __aenter__(self) -> Any:
        return await self.transaction.__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        result = await self.transaction.__aexit__(*error)
        machine = self.machine
        if error[0] is None and machine.commits_left is not None:
            machine.commits_left -= 1
            if machine.commits_left == 0:
                main = machine.main
                for task in asyncio.all_tasks():
                    if task is not main:
                        task.cancel()
                raise asyncio.CancelledError
        return result


async def check_ended(bench: Bench) -> None:
    """Check that no job is left, and that each call and each end of a tool led on once."""
    database = bench.app.database
    report = await verify_ledger(database, bench.clock.now())
    assert report.discrepancies == ()
    assert await bench.list_open_holds() == []
    rows = await execute(database, "SELECT id, request_key FROM jobs")
    jobs = [job for row in rows if (job := await bench.app.jobs.get(row.id)) is not None]
    assert all(job.notified_at is not None and job.state not in OPEN_STATES for job in jobs)
    messages = bench.platform.messages
    notices = [message for nonce, message in messages.items() if nonce.startswith("notice:")]
    # A message for each job, and for each question or refusal of a link.
    assert len(messages) == len(jobs) + len(notices)
    shown = {job.id: messages[f"{job.id}:0"] for job in jobs if job.tools is not None}
    assert not any('"tool"' in reply.text for message in shown.values() for reply in message.history)
    # Each run at the backend belongs to one job, and each job of a run paid for its run alone.
    runs = await execute(database, "SELECT backend_id FROM predictions WHERE backend_id <> ''")
    assert sorted(row.backend_id for row in runs) == sorted(bench.backend.runs)
    paid = await execute(database, "SELECT job FROM ledger WHERE kind = 'settle' AND account LIKE 'wallet:%'")
    # The day's allowance and the extra credits may share a price, each once.
    assert not [job for job, count in Counter(row.job for row in paid).items() if count > 2]
    assert not [job for job in jobs if job.cancel_by and list_children(job, jobs)]
    unled = [job for job in jobs if await leads_on(bench, job) and not list_children(job, jobs)]
    confirmed = [job for job in jobs if job.options.get("called_by") and not job.request_key.endswith(":tool")]
    assert len(notices) == len(unled) + len(confirmed)
    for job in jobs:
        keys = Counter(bool(child.options.get("called_by")) for child in jobs if child.parent_job == job.id)
        assert set(keys.values()) <= {1}
        assert job.options.get("tool_calls", 0) in range(MAX_CALLS + 1)


def list_children(job: Job, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that followed on the end of a job: the tool, or the next answer."""
    if job.options.get("called_by"):
        return [other for other in jobs if other.request_key == f"{job.request_key}:result"]
    return [other for other in jobs if other.parent_job == job.id]


async def leads_on(bench: Bench, job: Job) -> bool:
    """Return whether something must follow on a job: the call in an answer, or the result of a tool."""
    if job.options.get("called_by"):
        return job.state is not JobState.CANCELLED and not job.cancel_by
    if job.command != "chat" or job.state is not JobState.DELIVERED or not job.tools:
        return False
    answer = await bench.app.dispatcher.services.conversations.get_answer(job)
    return answer is not None and '"tool"' in answer.text


def test_calls_are_told_and_charged_once() -> None:
    # The same histories in each run: a fault is found by a change of the code, not by luck.
    run_state_machine_as_test(
        ToolMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
