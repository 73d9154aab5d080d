"""Answers voice messages: the transcript becomes a question of a chat, and the answer is spoken where settings say so.

A voice message is a chain of jobs as the calls of tools are: the transcription, the chat, and the speech. Each job is
priced and held by itself, and begins before the job before counts as delivered.
"""

import re
from dataclasses import dataclass

from bot.conversations.tools import split_call
from bot.core.invocations import VOICE, Invocation
from bot.core.jobs import Job, JobState
from bot.core.models import Task
from bot.dispatch.declaration import OptionValue
from bot.dispatch.tool_calls import JobChain, restore_user

_MARKS = re.compile(r"^```.*$|^#+\s+|^>\s?|\*\*|__|`", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class VoiceAnswers(JobChain):
    """Begins the chats that answer transcripts, and the speech of the answers."""

    async def follow(self, job: Job) -> bool:
        """Begin what follows on an ended job; return False if this process begins nothing any more."""
        # Stop ends the whole chain; a failed transcription says itself why.
        if job.state is not JobState.FINISHED or job.cancel_by:
            return True
        question = job.options.get("voice_question")
        if job.command == Task.TRANSCRIBE and isinstance(question, str):
            outputs = await self.dispatcher.services.jobs.list_outputs(job)
            transcript = "".join(output.text for output in outputs).strip()
            words = "\n\n".join(filter(None, (question, transcript)))
            return await self._begin(job, Task.CHAT, {"message": words}, "answer")
        if job.command == Task.CHAT and job.options.get("spoken"):
            text = await self._read_answer(job)
            return not text or await self._begin(job, Task.SPEAK, {"text": text}, "spoken")
        return True

    async def _begin(self, job: Job, command: str, options: dict[str, OptionValue], link: str) -> bool:
        if not self.dispatcher.services.jobs.is_accepting:
            return False
        invocation = Invocation(
            user=restore_user(job),
            channel=await self.find_channel(job),
            command=command,
            request_key=f"{job.request_key}:{link}",
            options=options,
            parent_job=job.id,
            action=VOICE,
        )
        reply = await self.handle(invocation)
        if reply is not None:
            await self.post(invocation, reply)
        return True

    async def _read_answer(self, job: Job) -> str:
        """Return the words of an answer without marks of Markdown; empty for an answer that calls a tool."""
        answer = await self.dispatcher.services.conversations.get_answer(job)
        if answer is None or split_call(answer.text, job.tools or ())[1] is not None:
            return ""
        return _MARKS.sub("", answer.text).strip()
