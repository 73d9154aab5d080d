"""One-time links to the page's painter of masks: a person paints on the page, and the edit runs where it was asked.

A link is a bearer's key, so its address goes to the person alone. The row of the table `pending` holds the request
under the hash of the token, and goes when the mask arrives: of two masks at once, the first runs.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.core.backend import InputFile
from bot.core.clock import Clock
from bot.core.errors import BadOption, JobNotFound
from bot.core.invocations import Attachment, Invocation, PendingAction
from bot.core.json import JSON
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.confirmation import restore_invocation, store_invocation
from bot.jobs.acceptance import UNRELATED_WORKSPACES
from bot.media.media import Media
from bot.storage.database import Database

PENDING_KIND = "paint"
SENT_KIND = "painted"
"""The row of a used link: a repeated delivery of the same mask is no second use."""

LINK_LIFETIME = timedelta(minutes=15)
_TOKEN_BYTES = 32
_TOKEN = re.compile(rf"[0-9a-f]{{{_TOKEN_BYTES * 2}}}")

_OVER = "This link was used already, or is more than 15 minutes old. Ask for a new one with /edit."
_NO_PAGE = "Painting needs a page that you can reach, and this bot has none: attach a mask as a file instead."
_NO_CHANNEL = "I can answer a painted mask only where I may post by myself: attach a mask as a file instead."


@dataclass(frozen=True, slots=True)
class PaintTask:
    """The request that waits for a mask."""

    pending: PendingAction

    @property
    def person(self) -> str:
        """The person who may paint, as `platform:workspace:id`."""
        return f"{self.pending.platform}:{self.pending.workspace}:{self.pending.user}"

    @property
    def is_sent(self) -> bool:
        """Whether the mask was delivered already."""
        return self.pending.kind == SENT_KIND

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.pending.facts

    @property
    def sha256(self) -> str:
        """The picture to paint on."""
        return str(self.facts["files"]["image"]["sha256"])


@dataclass(frozen=True, slots=True)
class PaintLinks:
    """Gives and takes links. `page_url` is the page's address for people elsewhere, empty without one."""

    database: Database
    clock: Clock
    media: Media
    page_url: str

    async def offer(self, invocation: Invocation, picture: InputFile, title: str, price: str, micros: int) -> Reply:
        """Store the invocation and return the link. `price`, at most `micros`, is shown before the mask is sent.

        Raise `BadOption` where no link can work. The picture stays kept as long as the row.
        """
        self.check(invocation)
        token = secrets.token_hex(_TOKEN_BYTES)
        user, channel, now = invocation.user, invocation.channel, self.clock.now()
        options = {name: value for name, value in invocation.options.items() if name != "paint"}
        roles: list[JSON] = [*sorted(user.roles)]
        facts: dict[str, JSON] = {
            **store_invocation(replace(invocation, options=options), {"image": picture.sha256}),
            "micros": micros,
            "price": price,
            "title": title,
            "user": {"name": user.name, "locale": user.locale, "roles": roles},
            "attempts": 0,
        }
        key = (user.platform, user.workspace, channel.id, user.id)
        async with self.database.accept() as tx:
            await tx.pending.put(PendingAction(_hash(token), PENDING_KIND, *key, facts, now, now + LINK_LIFETIME))
        text = (
            f"Paint the part that may change: {self.page_url}/paint#{token}\n\n"
            "The link is for you alone, works once, and ends after 15 minutes. The picture appears here."
        )
        return Reply(text=text, is_private=True)

    def check(self, invocation: Invocation) -> None:
        """Raise `BadOption` where no link can work: without a public page, or where the bot may post answers alone."""
        if not self.page_url:
            raise BadOption(_NO_PAGE, option="paint")
        if invocation.is_private or invocation.channel.workspace in UNRELATED_WORKSPACES:
            raise BadOption(_NO_CHANNEL, option="paint")

    async def open(self, token: str) -> PaintTask:
        """Return the request of a link. Raise `JobNotFound` for a link that is wrong, used, or too old."""
        task = await self._find(token, "")
        if task.is_sent:
            raise JobNotFound(_OVER)
        return task

    async def check_delivery(self, token: str, request_id: str) -> PaintTask:
        """Return the request of a link before its mask is read; raise as `open`, but not for a repeated delivery."""
        return await self._find(token, request_id)

    async def take(self, token: str, request_id: str) -> PaintTask | None:
        """Return the request of a link and use the link up; None if the same delivery did so before.

        Raise `JobNotFound` as `open` does. A caller whose request is refused gives the link back.
        """
        task = await self._find(token, request_id)
        if task.is_sent:
            return None
        pending = task.pending
        owner = (pending.platform, pending.workspace, pending.user)
        async with self.database.accept() as tx:
            # One statement reads and deletes: of two masks at once, the first runs.
            taken = await tx.pending.take(pending.id, PENDING_KIND, *owner, self.clock.now())
        if taken is None:
            raise JobNotFound(_OVER)
        return PaintTask(taken)

    def build_invocation(self, task: PaintTask, mask: Attachment) -> Invocation:
        """Return the request with its mask, as the person of the link. Raise `JobNotFound` if the picture is gone.

        The person has no rank: the link proves who asked, and the platform is not asked again.
        """
        pending, facts = task.pending, task.facts
        known = facts["user"]
        roles = frozenset(known["roles"])
        user = User(pending.platform, pending.workspace, pending.user, known["name"], known["locale"], roles)
        # Each attempt has a key of its own: a refused mask counts in the pace of asking, as any refused request.
        request_key = f"{pending.platform}:painted:{pending.id[:32]}:{facts['attempts']}"
        invocation = restore_invocation(facts, user, request_key, self.media)
        attachments = {**invocation.attachments, "mask": mask}
        return replace(invocation, attachments=attachments, confirmed_micros=facts["micros"])

    async def give_back(self, task: PaintTask) -> None:
        """Let the link of a refused mask work again, until its end."""
        facts = {**task.facts, "attempts": task.facts["attempts"] + 1}
        async with self.database.accept() as tx:
            await tx.pending.put(replace(task.pending, facts=facts))

    async def close(self, task: PaintTask, request_id: str) -> None:
        """Remember the delivery that used the link."""
        async with self.database.accept() as tx:
            await tx.pending.put(replace(task.pending, kind=SENT_KIND, facts={"request_id": request_id}))

    async def _find(self, token: str, request_id: str) -> PaintTask:
        pending = None
        if _TOKEN.fullmatch(token):
            async with self.database.read() as tx:
                pending = await tx.pending.get(_hash(token))
        if pending is None or pending.kind not in (PENDING_KIND, SENT_KIND) or pending.expires_at <= self.clock.now():
            raise JobNotFound(_OVER)
        task = PaintTask(pending)
        if task.is_sent and task.facts["request_id"] != request_id:
            raise JobNotFound(_OVER)
        return task


def _hash(token: str) -> str:
    # The token is random: a salt or a slow hash would add nothing. A leaked database holds no link.
    return hashlib.sha256(token.encode()).hexdigest()
