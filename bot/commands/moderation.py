"""Refusals by the workspace and the owner, of users (/block), words (/words), models and platforms (/pause); /audit.

/audit lists changes and refusals in a workspace, newest first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.errors import BadOption, RequestRefused, UnknownName
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank, User
from bot.core.platform import format_channel, format_person_link, format_role, is_platform_id
from bot.core.replies import Reply
from bot.core.time_format import format_end, load_time_zone, parse_end
from bot.credits.pricing import CreditFormatter
from bot.dispatch.declaration import MAX_CHOICES, Choice, Command, OptionValue, PersonOption, Services, command, option
from bot.dispatch.workspace_settings import get_settings
from bot.moderation.admin import USER_ID_FACTS
from bot.moderation.moderation import format_setting_key, parse_setting_key
from bot.storage.moderation import AuditRow, PauseKind, PauseTarget


@command("block", rank=Rank.MODERATOR, private=True)
class Block(Command):
    """Let somebody ask nothing here any more."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)
    until: str = option("Until when? As in 2h, 7d, 2027-03-01. For good if you say nothing.", default="", max_length=40)
    reason: str = option("Why? They read it.", default="", max_length=200)
    stop: bool = option("Stop what they are running?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        user = await _find_user(by, self.user, services)
        if user.id == by.id:
            raise BadOption("You cannot block yourself.", option="user")
        zone = (await get_settings(services, by)).time_zone
        until = parse_end(self.until, services.jobs.now(), zone)
        # A platform marks an administrator only in requests of that administrator: look at the latest job.
        latest = await services.jobs.list_recent(user, 1)
        if latest and latest[0].user.is_administrator:
            raise RequestRefused(f"{user.name} administers this workspace: no block holds against them.")
        await services.moderation.admin.block(by, user, until, self.reason)
        # Cancel after the block: between the two statements the user could start another job.
        count = await self._cancel_jobs(by, user, services) if self.stop else 0
        also = f" Stopped: {count} of theirs." if count else ""
        because = f" They read: “{self.reason}”." if self.reason else ""
        return Reply(text=f"{user.name} is blocked {format_end(until, zone)}.{because}{also}", is_private=True)

    async def _cancel_jobs(self, by: User, user: User, services: Services) -> int:
        return sum([await services.jobs.cancel(job, by) for job in await services.jobs.list_open(user)])


async def _find_user(by: User, name: str, services: Services) -> User:
    """Return a user of this workspace; on a platform with ids also a user without any request so far."""
    try:
        return await services.credits.wallets.find_user(by, name)
    except BadOption:
        if not is_platform_id(by.platform, name):
            raise
    return User(by.platform, by.workspace, name, format_person_link(by.platform, name))


@command("unblock", rank=Rank.MODERATOR, private=True)
class Unblock(Command):
    """Let somebody ask again."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        user = await services.credits.wallets.find_user(invocation.user, self.user)
        if not await services.moderation.admin.unblock(invocation.user, user):
            raise BadOption(f"{user.name} is not blocked here.", option="user")
        return Reply(text=f"{user.name} may ask again.", is_private=True)


_MAX_SHOWN = 200


@command("words add", rank=Rank.MODERATOR, private=True)
class WordsAdd(Command):
    """Refuse asks with a word in them, however it is written."""

    word: str = option("Which word, words, or pattern such as badger*?", max_length=100, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if await services.moderation.admin.add_word(invocation.user, self.word):
            return Reply(text=f"Asks with “{self.word}” in them are refused from now on.", is_private=True)
        return Reply(text=f"“{self.word}” is refused already.", is_private=True)


@command("words remove", rank=Rank.MODERATOR, private=True)
class WordsRemove(Command):
    """Let a word through again."""

    word: str = option("Which one? As in /words list.", max_length=100, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if not await services.moderation.admin.remove_word(invocation.user, self.word):
            raise BadOption(
                f"“{self.word}” is not among this workspace's words. /words list shows them.", option="word"
            )
        return Reply(text=f"“{self.word}” may be asked for again.", is_private=True)


@command("words list", rank=Rank.MODERATOR, private=True)
class WordsList(Command):
    """List the words that are refused here."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        words = await services.moderation.admin.list_words(invocation.user)
        if not words:
            return Reply(text="No word is refused here. `/words add` adds one.", is_private=True)
        more = f" … and {len(words) - _MAX_SHOWN} more" if len(words) > _MAX_SHOWN else ""
        shown = ", ".join(f"`{word}`" for word in words[:_MAX_SHOWN])
        return Reply(text=f"Refused here: {shown}{more}", is_private=True)


@command("words test", rank=Rank.MODERATOR, private=True)
class WordsTest(Command):
    """See whether a text would be refused."""

    text: str = option("Which text?", max_length=4_000, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        word = await services.moderation.find_refused_word(invocation.user, self.text)
        text = f"Refused, for “{word}”." if word is not None else "Let through: no refused word is in it."
        return Reply(text=text, is_private=True)


PLATFORMS = ("discord", "slack", "web", "console")


def _suggest_targets(services: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
    wanted = typed.strip().lower()
    names = ["all", *PLATFORMS, *(model.key for model in services.catalogue.list_all())]
    return [Choice(name, name) for name in names if wanted in name][:MAX_CHOICES]


@command("pause", rank=Rank.OWNER, private=True)
class Pause(Command):
    """Start nothing new of a model, on a platform, or at all."""

    what: str = option("What? A model, a platform, or all.", max_length=100, autocomplete=_suggest_targets)
    reason: str = option("Why? People read it.", default="", max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        target = _parse_target(self.what, services)
        await services.moderation.admin.pause(invocation.user, target, self.reason)
        name = _get_name(target)
        text = f"Nothing new of `{name}` starts until `/resume {name}`. What runs goes on."
        return Reply(text=text, is_private=True)


def _parse_target(name: str, services: Services) -> PauseTarget:
    """Return the target of a typed name. Raise `UnknownName` with the nearest name."""
    wanted = name.strip().lower()
    if wanted == "all":
        return PauseTarget(PauseKind.ALL)
    if wanted in PLATFORMS:
        return PauseTarget(PauseKind.PLATFORM, wanted)
    if wanted in services.catalogue:
        return PauseTarget(PauseKind.MODEL, wanted)
    known = ["all", *PLATFORMS, *(model.key for model in services.catalogue.list_all())]
    raise UnknownName("model or platform", name, known, advice="/models lists the models.")


@command("resume", rank=Rank.OWNER, private=True)
class Resume(Command):
    """Start again what was paused, or list it."""

    what: str = option("What? A list of what is paused if you say nothing.", default="", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        admin = services.moderation.admin
        pauses = {_get_name(target): (target, reason) for target, reason in (await admin.list_pauses()).items()}
        if not self.what:
            return Reply(text=_format_pauses({name: reason for name, (_, reason) in pauses.items()}), is_private=True)
        pause = pauses.get(self.what.strip().lower())
        if pause is None:
            raise BadOption(f"“{self.what}” is not paused. /resume alone lists what is.", option="what")
        await admin.pause(invocation.user, pause[0], None)
        return Reply(text=f"`{self.what}` starts again.", is_private=True)


def _get_name(target: PauseTarget) -> str:
    """Return the name that people type for a target."""
    return target.name or target.kind.value


def _format_pauses(pauses: dict[str, str]) -> str:
    if not pauses:
        return "Nothing is paused."
    return "\n".join(f"- `{name}`{f': {reason}' if reason else ''}" for name, reason in sorted(pauses.items()))


# The audit log.

KINDS: Mapping[str, str] = {
    "settings and limits": "policy.",
    "credits": "credits.",
    "blocks": "user.",
    "words": "words.",
    "pauses": "pause.",
    "workspace": "workspace.",
    "refusals": "refused",
    "reports": "job.",
    "privacy": "privacy.",
    "presets": "preset.",
}
_ACTIONS: Mapping[str, str] = {
    "policy.changed": "changed",
    "user.blocked": "blocked",
    "user.unblocked": "unblocked",
    "credits.grant": "gave extra credits",
    "credits.take": "took extra credits back",
    "credits.reset": "forgave what was spent",
    "privacy.delete": "had everything about them deleted",
    "preset.shared": "shared a preset",
    "preset.unshared": "took a preset away from this workspace",
    "pause.begun": "paused",
    "pause.ended": "resumed",
    "words.added": "refuses a word",
    "words.removed": "lets a word through",
    "job.reported": "reported a job",
    "workspace.allowed": "allowed this workspace",
    "workspace.forbidden": "took this workspace's permission back",
    "workspace.left": "was removed from this workspace",
    "refused": "was refused",
}
_LINKS: Mapping[str, Callable[[str, str], str]] = {"channels": format_channel, "moderator_roles": format_role}
_MAX_ROW_LENGTH = 200


@command("audit", rank=Rank.MODERATOR, private=True)
class Audit(Command):
    """Show who changed what here, and whom something was refused."""

    user: PersonOption | None = option("Of whom? Of everybody if you say nothing.", default=None, max_length=100)
    kind: str | None = option("Which kind? All of them if you say nothing.", default=None, choices=tuple(KINDS))
    count: int = option("How many lines?", default=20, minimum=1, maximum=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        actor = (await services.credits.wallets.find_user(by, self.user)).actor if self.user else None
        kind = KINDS[self.kind] if self.kind else ""
        rows, names = await services.moderation.admin.read_audit(by, self.count, actor=actor, kind=kind)
        if not rows:
            return Reply(text="Nothing of that is on record here.", is_private=True)
        zone = (await get_settings(services, by)).time_zone
        formatter = _RowFormatter(by.platform, names, services.credits.formatter, zone)
        time_zone = load_time_zone(zone)
        lines = [f"- {row.at.astimezone(time_zone):%d %b %H:%M} · {formatter.format_row(row)}" for row in rows]
        return Reply(text="\n".join(lines), is_private=True)


@dataclass(frozen=True, slots=True)
class _RowFormatter:
    """Formats rows. `names` are people's names by id; links stand for other people, channels and roles."""

    platform: str
    names: Mapping[str, str]
    form: CreditFormatter
    zone: str

    def format_row(self, row: AuditRow) -> str:
        """Return a row in one line: the actor, the action, the facts."""
        actor = row.actor.part or self._format_person(row.actor.user)
        is_change = {"before", "after"} <= row.facts.keys()
        facts = self._format_changes(row.facts) if is_change else self._format_facts(row.facts)
        text = " · ".join(part for part in (actor, _ACTIONS.get(row.action, row.action), facts) if part)
        return text if len(text) <= _MAX_ROW_LENGTH else f"{text[: _MAX_ROW_LENGTH - 1]}…"

    def _format_changes(self, facts: Mapping[str, JSON]) -> str:
        """Return a change of settings or limits: "time zone: UTC → Europe/Berlin"."""
        before, after = facts["before"], facts["after"]
        if not isinstance(before, dict) or not isinstance(after, dict):
            return self._format_facts(facts)
        target = self._format_target(str(facts.get("scope")), str(facts.get("id") or ""))
        changes = [
            f"{self._format_setting(name)}: {self._format_value(name, old)} → {self._format_value(name, new)}"
            for name, new in after.items()
            if (old := before.get(name)) != new
        ]
        return " · ".join(part for part in (target, *(changes or ["nothing"])) if part)

    def _format_facts(self, facts: Mapping[str, JSON]) -> str:
        parts = (
            f"{_format_name(name)} {self._format_value(name, value)}"
            for name, value in facts.items()
            if value not in ("", None)
        )
        return ", ".join(part.lstrip() for part in parts)

    def _format_target(self, scope: str, target_id: str) -> str:
        if scope == "role":
            return format_role(self.platform, target_id)
        if scope == "channel":
            return format_channel(self.platform, target_id)
        return self._format_person(target_id) if scope == "user" else target_id

    def _format_person(self, user_id: str) -> str:
        return self.names.get(user_id) or format_person_link(self.platform, user_id) or user_id

    def _format_setting(self, key: str) -> str:
        """Return the name of a setting, with the channel or role if each has a policy: "channels #studio"."""
        name, member = parse_setting_key(key) or (key, "")
        link = _LINKS.get(name)
        return " ".join(
            part for part in (_format_name(name), link(self.platform, member) if link and member else member) if part
        )

    def _format_value(self, name: str, value: JSON) -> str:
        if value is None or value == "":
            return "–"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if "micros" in name and isinstance(value, int):
            return self.form.format_amount(value)
        if isinstance(value, float):
            return f"{value:g}"
        return ", ".join(map(str, value)) if isinstance(value, list) else self._format_text(name, str(value))

    def _format_text(self, name: str, text: str) -> str:
        if name in USER_ID_FACTS:
            return self._format_person(text)
        if name == "until":
            return format_end(datetime.fromisoformat(text), self.zone).removeprefix("until ")
        return format_channel(self.platform, text) if name == format_setting_key("moderator_channel") else text


def _format_name(name: str) -> str:
    return name.removesuffix("micros").replace("_", " ").rstrip()
