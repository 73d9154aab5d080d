"""/audit: who changed or refused what in this workspace, newest first."""

from collections.abc import Mapping

from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.core.storage import AuditRow
from bot.credits.pricing import CreditForm
from bot.dispatch.declaration import Command, Person, command, option
from bot.dispatch.services import Services
from bot.dispatch.workspace_settings import settings_of
from bot.moderation.desk import PEOPLE
from bot.moderation.settings import PREFIX
from bot.moderation.spans import zone_of

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
}
_LONGEST = 200


@command("audit", rank=Rank.MODERATOR, private=True)
class Audit(Command):
    """Show who changed what here, and whom something was refused."""

    user: Person | None = option("Of whom? Of everybody if you say nothing.", default=None, max_length=100)
    kind: str | None = option("Which kind? All of them if you say nothing.", default=None, choices=tuple(KINDS))
    count: int = option("How many lines?", default=20, minimum=1, maximum=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        actor = (await services.credits.wallets.person(by, self.user)).id if self.user else ""
        kind = KINDS[self.kind] if self.kind else ""
        rows, names = await services.moderation.desk.audit(by, self.count, actor=actor, kind=kind)
        if not rows:
            return Reply(text="Nothing of that is on record here.", is_private=True)
        zone = zone_of((await settings_of(services, by)).time_zone)
        lines = [
            f"- {row.at.astimezone(zone):%d %b %H:%M} · {_line(row, names, services.credits.form)}" for row in rows
        ]
        return Reply(text="\n".join(lines), is_private=True)


def _line(row: AuditRow, names: Mapping[str, str], form: CreditForm) -> str:
    who = row.actor.rpartition(":")[2]
    facts = dict(row.facts)
    for name in PEOPLE:
        if name in facts:
            facts[name] = names.get(str(facts[name])) or facts[name]
    told = _changes(facts, form) if "before" in facts and "after" in facts else _plain(facts, form)
    text = " · ".join(part for part in (names.get(who) or who, _ACTIONS.get(row.action, row.action), told) if part)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_ACTIONS: Mapping[str, str] = {
    "policy.changed": "changed",
    "user.blocked": "blocked",
    "user.unblocked": "unblocked",
    "words.added": "refuses a word",
    "words.removed": "lets a word through",
    "credits.grant": "gave extra credits",
    "credits.take": "took extra credits back",
    "credits.reset": "forgave what was spent",
    "pause.begun": "paused",
    "pause.ended": "resumed",
    "privacy.delete": "deleted their own data",
    "job.reported": "reported a job",
    "workspace.allowed": "allowed this workspace",
    "workspace.forbidden": "took this workspace's permission back",
    "workspace.left": "was removed from this workspace",
    "refused": "was refused",
}


def _changes(facts: Mapping[str, JSON], form: CreditForm) -> str:
    """A change of settings or limits: "time_zone: UTC → Europe/Berlin"."""
    before, after = facts["before"], facts["after"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        return _plain(facts, form)
    about = str(facts.get("id") or "")
    changed = [
        f"{_named(name)}: {_value(name, before.get(name), form)} → {_value(name, new, form)}"
        for name, new in after.items()
        if before.get(name) != new
    ]
    return " · ".join(part for part in (about, *(changed or ["nothing"])) if part)


def _plain(facts: Mapping[str, JSON], form: CreditForm) -> str:
    return ", ".join(_told(name, value, form) for name, value in facts.items() if value not in ("", None))


def _named(name: str) -> str:
    return name.removeprefix(PREFIX).removesuffix("_micros").replace("_", " ")


def _told(name: str, value: JSON, form: CreditForm) -> str:
    """A fact and its value; an amount says by itself what it is."""
    return _value(name, value, form) if name == "micros" else f"{_named(name)} {_value(name, value, form)}"


def _value(name: str, value: JSON, form: CreditForm) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "micros" in name and isinstance(value, int):
        return f"{form.show(value)} credits"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
