"""Sample users, channels, jobs and settings."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bot.core.ids import new_id
from bot.core.jobs import Job, JobState
from bot.core.people import Channel, User
from bot.core.replies import Reply
from bot.settings import Settings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANA = User("web", "page", "ana", "Ana")
BEN = replace(ANA, id="ben", name="Ben")
CLEO = replace(ANA, id="cleo", name="Cleo")
MODERATOR = replace(ANA, id="mo", name="Mo", is_administrator=True)
BY_ROLE = replace(ANA, id="rita", name="Rita", roles=frozenset({"mods"}))
OWNER = replace(ANA, id="owner", name="The owner")
ELSEWHERE = replace(MODERATOR, workspace="other", id="eve", name="Eve")
CHANNEL = Channel("web", "page", "c1")
DEFAULT_SETTINGS = Settings(_env_file=None)
"""The settings of a machine without an `.env`. Reading settings takes longer than the rest of most benches' start."""


def make_job(**changes: Any) -> Job:
    """Return an accepted job of Ana's with fresh ids and changed fields."""
    job_id = new_id()
    plain = Job(
        id=job_id,
        request_key=f"web:{job_id}",
        user=ANA,
        channel=CHANNEL,
        command="imagine",
        model="flux-schnell",
        backend="replicate",
        options={"prompt": "a fox"},
        inputs={"prompt": "a fox"},
        state=JobState.ACCEPTED,
        owner="w1",
        epoch=0,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(plain, **changes)


def get_text(reply: Reply | None) -> str:
    assert reply is not None
    return reply.text
