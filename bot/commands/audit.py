"""/audit: lists changes and refusals in a workspace, newest first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.platform import format_channel, format_person_link, format_role
from bot.core.replies import Reply
from bot.core.time_format import format_end, load_time_zone
from bot.credits.pricing import CreditFormatter
from bot.dispatch.declaration import Command, PersonOption, Services, command, option
from bot.dispatch.workspace_settings import get_settings
from bot.moderation.admin import USER_ID_FACTS
from bot.moderation.moderation import format_setting_key, parse_setting_key
from bot.storage.moderation import AuditRow

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
