"""Streamed messages: text, size limits and lifetime.

The ends after about 300 s and about 10.6 kB are measured, not documented:
github.com/slackapi/python-slack-sdk/issues/1859 and github.com/CopilotKit/CopilotKit/issues/6063.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.emulators.slack.clock import SlackClock
from tests.emulators.slack.request_log import SlackErrorResponse

MAX_STREAM_BYTES = 10_600
MAX_CALL_CHARACTERS = 12_000
_CHUNKS = {
    "markdown_text": {"text"},
    "plan_update": {"title"},
    "task_update": {"id", "title"},
    "blocks": {"blocks"},
}
_TASK_FIELDS = {"id", "title", "status", "details", "output", "sources"}
_TASK_STATUSES = {"pending", "in_progress", "complete", "error"}


@dataclass(eq=False)
class SlackStreamState:
    """`mode` is markdown_text or chunks, as the first append. `end_reason` is empty if live or expired."""

    clock: SlackClock
    life_seconds: float
    started_at: float
    recipient_user_id: str
    text: str = ""
    mode: str = ""
    end_reason: str = ""
    plan: str = ""
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    blocks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return not self.end_reason and self.clock.now() - self.started_at < self.life_seconds

    def append(self, markdown_text: str | None, chunks: list[Any] | None) -> None:
        """Append a call's content as a whole. Raise `SlackErrorResponse` without any effect if invalid."""
        if markdown_text is not None and chunks is not None:
            raise SlackErrorResponse("cannot_provide_both_markdown_text_and_chunks")
        mode = "markdown_text" if markdown_text is not None else "chunks" if chunks else ""
        if mode and self.mode not in ("", mode):
            raise SlackErrorResponse("streaming_mode_mismatch")
        pieces = [{"type": "markdown_text", "text": markdown_text}] if markdown_text is not None else chunks or []
        for piece in pieces:
            _check_chunk(piece)
        added = "".join(piece["text"] for piece in pieces if piece["type"] == "markdown_text")
        if len(added) > MAX_CALL_CHARACTERS or len((self.text + added).encode()) > MAX_STREAM_BYTES:
            raise SlackErrorResponse("msg_too_long")
        self.mode = self.mode or mode
        self.text += added
        for piece in pieces:
            self._append_chunk(piece)

    def _append_chunk(self, piece: dict[str, Any]) -> None:
        if piece["type"] == "plan_update":
            self.plan = piece["title"]
        elif piece["type"] == "blocks":
            self.blocks += piece["blocks"]
        elif piece["type"] == "task_update":
            task = self.tasks.setdefault(piece["id"], {})
            details = task.get("details", "") + piece.get("details", "")  # details grow, other fields are replaced
            task.update({**piece, "details": details})


def _check_chunk(chunk: Any) -> None:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind not in _CHUNKS or not _CHUNKS[kind] <= chunk.keys():
        raise SlackErrorResponse("invalid_chunks")
    if kind == "markdown_text" and not isinstance(chunk["text"], str):
        raise SlackErrorResponse("invalid_chunks")
    if kind == "task_update" and (
        chunk.keys() - _TASK_FIELDS - {"type"} or chunk.get("status", "pending") not in _TASK_STATUSES
    ):
        raise SlackErrorResponse("invalid_chunks")
