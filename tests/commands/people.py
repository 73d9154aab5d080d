"""Who speaks in the dialogues."""

from dataclasses import replace

from bot.core.replies import Reply
from tests.fakes.rows import ANA

BEN = replace(ANA, id="ben", name="Ben")
MODERATOR = replace(ANA, id="mo", name="Mo", is_administrator=True)
BY_ROLE = replace(ANA, id="rita", name="Rita", roles=frozenset({"mods"}))
OWNER = replace(ANA, id="owner", name="The owner")
ELSEWHERE = replace(MODERATOR, workspace="other", id="eve", name="Eve")


def get_text(reply: Reply | None) -> str:
    assert reply is not None
    return reply.text
