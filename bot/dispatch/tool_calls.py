"""Runs the tools that a chat model calls, as requests of the person who asked, and tells the model the result.

A chat is a chain of jobs: an answer with a call, the job of the tool, the next answer. `JobChain` is the shape of every
chain of jobs.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bot.conversations.tools import MAX_CALLS, TOOLS, ToolCall, cut_result, split_call
from bot.core.backend import InputValue
from bot.core.errors import Unavailable
from bot.core.file_types import MediaKind
from bot.core.invocations import TOOL, TOOL_RESULT, Invocation
from bot.core.jobs import Job, JobState, Output
from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.replies import Reply
from bot.dispatch.declaration import OptionValue, Services
from bot.dispatch.dispatcher import Dispatcher
from bot.moderation.moderation import WorkspaceSettings


def count_calls(caller: Job) -> int:
    """Return how many tools were called since the person's question; `caller` is the answer with the last call."""
    calls = caller.options.get("tool_calls")
    return (calls if isinstance(calls, int) else 0) + 1


def list_tools(services: Services, invocation: Invocation, settings: WorkspaceSettings, calls: int) -> list[str]:
    """Return the names of the tools to offer, none in private answers and after the last call."""
    # The result of a tool is a message of its own, which a private answer cannot have everywhere.
    if invocation.is_private or calls >= MAX_CALLS or not settings.may_use_tools(invocation.channel.id):
        return []
    offered = {command.declaration.name for command in services.menu}
    return [name for name in TOOLS if name in offered and services.catalogue.list_for_task(Task(name))]


def store_tools(tools: Sequence[str], calls: int) -> dict[str, InputValue]:
    """Return the options of a chat job that the calls need later."""
    return {"tools": " ".join(tools), "tool_calls": calls}


def is_stopped(job: Job) -> bool:
    """Return whether a person stopped a job, also at its last moment: Stop ends a whole chain."""
    return job.state is JobState.CANCELLED or bool(job.cancel_by)


@dataclass(frozen=True, slots=True)
class JobChain(ABC):
    """Begins the requests that follow on ended jobs, as requests of the person who asked first.

    Each link begins before the job before counts as delivered, with a request key of its own made of the key before:
    after a kill, the chain goes on, and no link runs twice.
    """

    dispatcher: Dispatcher

    async def follow(self, job: Job) -> bool:
        """Begin what follows on an ended job; return False if a later attempt, or the next process, must begin that."""
        begin = await self.plan(job)
        return begin is None or (self.dispatcher.services.jobs.is_accepting and await begin())

    @abstractmethod
    async def plan(self, job: Job) -> Callable[[], Awaitable[bool]] | None:
        """Return the function that begins what follows on an ended job, None if nothing follows."""

    async def build_request(
        self, job: Job, command: str, request_key: str, options: Mapping[str, OptionValue], action: str
    ) -> Invocation:
        """Return a request that follows on a job, in the name of the job's person."""
        return Invocation(
            user=job.user,
            channel=await self._find_channel(job),
            command=command,
            request_key=request_key,
            options=options,
            parent_job=job.id,
            action=action,
        )

    async def begin(self, invocation: Invocation) -> bool:
        """Run the next link; show a question or a refusal below the answer."""
        if (reply := await self.handle(invocation)) is not None:
            await self.post(invocation.user, invocation.channel, reply, invocation.request_key)
        return True

    async def handle(self, invocation: Invocation) -> Reply | None:
        """Run an invocation as the dispatcher does. Raise `Unavailable` if the process stops accepting meanwhile."""
        reply = await self.dispatcher.handle(invocation)
        if reply is not None and not self.dispatcher.services.jobs.is_accepting:
            raise Unavailable("I am restarting.")  # no refusal: the next process begins the link
        return reply

    async def post(self, user: User, channel: Channel, reply: Reply, request_key: str) -> None:
        """Show a message for all below the answer, once for each key: a lost one must not begin the chain again."""
        await self.dispatcher.notices.post_for(user, channel, replace(reply, is_private=False), request_key)

    async def _find_channel(self, job: Job) -> Channel:
        """Return the place of the job's conversation now: a thread may have opened on the first answer."""
        conversation = await self.dispatcher.services.conversations.get(job.conversation)
        if conversation is None:
            return job.channel
        return replace(job.channel, thread=conversation.thread, is_reply_chain=conversation.is_reply_chain)


class ToolCalls(JobChain):
    """Begins the jobs of tools, and the chats that go on with the results."""

    async def plan(self, job: Job) -> Callable[[], Awaitable[bool]] | None:
        """Return how a tool begins, or the answer to a tool's result."""
        if is_stopped(job):
            return None
        if (call := await self._find_call(job)) is not None:
            return partial(self._call, job, call)
        services = self.dispatcher.services
        caller = await services.jobs.get(str(job.options["called_by"])) if job.options.get("called_by") else None
        return partial(self._tell_result, caller, job) if caller is not None else None

    async def _find_call(self, job: Job) -> ToolCall | None:
        if job.state is not JobState.FINISHED or job.command != Task.CHAT or not job.tools:
            return None
        answer = await self.dispatcher.services.conversations.get_answer(job)
        return split_call(answer.text, job.tools)[1] if answer is not None else None

    async def _call(self, job: Job, call: ToolCall) -> bool:
        key = f"{job.request_key}:tool"
        if call.error:
            return await self._tell(job, call.error, f"{key}:result", ())
        user = job.user
        settings = await self.dispatcher.services.moderation.get_settings(user.platform, user.workspace)
        if not settings.may_use_tools(job.channel.id):  # turned off since the question
            return await self._tell(job, "Tools are turned off here now.", f"{key}:result", ())
        invocation = await self.build_request(job, call.tool, key, call.options, TOOL)
        reply = await self.handle(invocation)
        if reply is None:
            return True
        if reply.buttons:  # above `confirm_above`: the person decides
            await self.post(user, invocation.channel, reply, key)
            return True
        return await self._tell(job, f"{call.tool} was refused: {reply.text}", f"{key}:result", ())

    async def _tell_result(self, caller: Job, job: Job) -> bool:
        outputs = await self.dispatcher.services.jobs.list_outputs(job)
        return await self._tell(caller, _describe_result(job, outputs), f"{job.request_key}:result", outputs)

    async def _tell(self, caller: Job, result: str, request_key: str, outputs: Sequence[Output]) -> bool:
        """Ask the model to go on, with the result as the next question."""
        services = self.dispatcher.services
        made = next((output.sha256 for output in outputs if output.kind is MediaKind.PICTURE), "")
        can_see = made and "image" in services.catalogue.get(caller.model).inputs
        picture = services.media.load_attachment(made) if can_see else None
        kept = ("model", "system", "temperature", "max_tokens")
        if count_calls(caller) >= MAX_CALLS:
            result += " No tool is left for this question: answer in words."
        options: dict[str, OptionValue] = {"message": f"[Result of the tool] {cut_result(result)}"}
        options |= {
            name: value
            for name in kept
            if isinstance(value := caller.options.get(name), (str, int, float)) and value != ""
        }
        invocation = await self.build_request(caller, Task.CHAT, request_key, options, TOOL_RESULT)
        if picture is not None:
            invocation = replace(invocation, attachments={"image": picture})
        reply = await self.handle(invocation)
        if reply is not None:
            text = reply.text if reply.buttons else f"The answer does not go on. {reply.text}"
            await self.post(invocation.user, invocation.channel, replace(reply, text=text), request_key)
        return True


def _describe_result(job: Job, outputs: Sequence[Output]) -> str:
    """Return the words that tell a model how its tool ended."""
    if job.state is JobState.FAILED:
        return f"{job.command} failed: {job.error}"
    text = "".join(output.text for output in outputs).strip()
    files = sum(1 for output in outputs if output.sha256)
    made = f"{job.command} made {files} {'file' if files == 1 else 'files'}, which the person sees." if files else ""
    return " ".join(part for part in (made, text) if part) or f"{job.command} gave nothing."
