"""Modals and Home tabs: each person's stack of open views, and their state."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.slack.blocks import validate_blocks
from tests.emulators.slack.elements import PLAIN_TEXT_TYPES, validate_text
from tests.emulators.slack.messages import Json
from tests.emulators.slack.request_log import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import SlackPerson


MAX_TITLE_LENGTH = 24
MAX_PRIVATE_METADATA_LENGTH = 3000
MAX_VIEW_BYTES = 250_000
MAX_DEPTH = 3
_FIELDS = {
    "modal": {
        "type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close",
        "notify_on_close", "external_id", "submit_disabled",
    },
    "home": {"type", "blocks", "private_metadata", "callback_id", "external_id"},
}  # fmt: skip


@dataclass(eq=False)
class SlackViewState:
    """A modal or Home tab. `typed_values` are the person's choices so far, `errors` the app's errors by field."""

    person: "SlackPerson"
    id: str
    definition: Json
    hash: str
    below: "SlackViewState | None" = None
    typed_values: Json = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    is_open: bool = True

    @property
    def blocks(self) -> list[Json]:
        blocks: list[Json] = self.definition["blocks"]
        return blocks

    @property
    def title(self) -> str:
        return str(self.definition.get("title", {}).get("text", ""))

    @property
    def field_labels(self) -> list[str]:
        """Return the labels of all inputs."""
        return [block["label"]["text"] for block in self.blocks if block["type"] == "input"]

    @property
    def root(self) -> "SlackViewState":
        return self.below.root if self.below else self

    def to_json(self, values: Json | None = None) -> Json:
        team = self.person.team
        payload: Json = {
            "id": self.id, "team_id": team.id, "app_id": team.slack.app_id, "bot_id": team.bot_id,
            "app_installed_team_id": team.id, "state": {"values": values or {}}, "hash": self.hash,
            "root_view_id": self.root.id, "previous_view_id": self.below.id if self.below else None,
            "private_metadata": "", "callback_id": "", "external_id": "", "clear_on_close": False,
            "notify_on_close": False, "close": None, "submit": None,
        }  # fmt: skip
        return payload | self.definition


class SlackViewRegistry:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._views: dict[str, SlackViewState] = {}
        self._tops: dict[SlackPerson, SlackViewState] = {}
        self.homes: dict[SlackPerson, SlackViewState] = {}

    def find_top(self, person: "SlackPerson") -> SlackViewState | None:
        """Return the person's topmost view, if any."""
        return self._tops.get(person)

    def find(self, view_id: str, external_id: str = "") -> SlackViewState:
        """Return the view with this id. Raise `SlackErrorResponse` if missing."""
        for view in self._views.values():
            if view.is_open and (view.id == view_id or (external_id and view.definition["external_id"] == external_id)):
                return view
        raise SlackErrorResponse("not_found")

    def open(self, person: "SlackPerson", definition: Json) -> SlackViewState:
        """Open a modal in place of the person's open modals. Raise `SlackErrorResponse` if invalid."""
        self._check(definition, person, "modal")
        self.close_all(person)
        return self._put(person, definition, None)

    def push(self, person: "SlackPerson", definition: Json) -> SlackViewState:
        """Open a modal above the person's open modal. Raise `SlackErrorResponse` if invalid or too many."""
        below = self.find_top(person)
        if below is None:
            raise SlackErrorResponse("not_found")
        if self._depth(below) >= MAX_DEPTH:
            raise SlackErrorResponse("push_limit_reached")
        self._check(definition, person, "modal")
        return self._put(person, definition, below)

    def update(self, view: SlackViewState, definition: Json, hash_: str | None = None) -> SlackViewState:
        """Replace a view's definition. Raise `SlackErrorResponse` if invalid or if `hash_` is stale."""
        if hash_ is not None and hash_ != view.hash:
            raise SlackErrorResponse("hash_conflict")
        self._check(definition, view.person, view.definition["type"])
        view.definition, view.hash, view.errors = definition, self._hash(), {}
        self._slack.changes.notify()
        return view

    def publish(self, person: "SlackPerson", definition: Json, hash_: str | None = None) -> SlackViewState:
        """Publish a person's Home tab. Raise `SlackErrorResponse` if invalid or if `hash_` is stale."""
        if home := self.homes.get(person):
            return self.update(home, definition, hash_)
        self._check(definition, person, "home")
        home = SlackViewState(person, self._slack.ids.next("V"), definition, self._hash())
        self.homes[person] = self._views[home.id] = home
        self._slack.changes.notify()
        return home

    def close(self, view: SlackViewState) -> None:
        """Close a view; the view below becomes visible."""
        view.is_open = False
        if view.below and view.below.is_open:
            self._tops[view.person] = view.below
        else:
            self._tops.pop(view.person, None)
        self._slack.changes.notify()

    def close_all(self, person: "SlackPerson") -> None:
        while view := self.find_top(person):
            self.close(view)

    def _put(self, person: "SlackPerson", definition: Json, below: SlackViewState | None) -> SlackViewState:
        view = SlackViewState(person, self._slack.ids.next("V"), definition, self._hash(), below)
        self._views[view.id] = self._tops[person] = view
        self._slack.changes.notify()
        return view

    def _check(self, definition: Json, person: "SlackPerson", kind: str) -> None:
        if len(str(definition).encode()) > MAX_VIEW_BYTES:
            raise SlackErrorResponse("view_too_large")
        if violations := validate_view(definition, person, kind):
            messages = [f"[ERROR] {violation}" for violation in violations]
            raise SlackErrorResponse("invalid_arguments", response_metadata={"messages": messages})

    def _hash(self) -> str:
        return f"{self._slack.clock.next_timestamp()}.{self._slack.ids.next('h')[-6:]}"

    def _depth(self, view: SlackViewState) -> int:
        return 1 + (self._depth(view.below) if view.below else 0)


def validate_view(definition: Any, person: "SlackPerson", kind: str) -> list[str]:
    """Return the violations of a view."""
    if not isinstance(definition, dict) or definition.get("type") != kind:
        return [f"must be a view of type {kind} [json-pointer:/view/type]"]
    violations = [
        f"invalid additional property: {name} [json-pointer:/view]" for name in definition.keys() - _FIELDS[kind]
    ]
    for name in ("title", "submit", "close") if kind == "modal" else ():
        if name in definition or name == "title":
            violations += validate_text(definition.get(name), f"/view/{name}", MAX_TITLE_LENGTH, PLAIN_TEXT_TYPES)
    for name, most in (("private_metadata", MAX_PRIVATE_METADATA_LENGTH), ("callback_id", 255), ("external_id", 255)):
        if len(definition.get(name) or "") > most:
            violations.append(f"must be less than {most + 1} characters [json-pointer:/view/{name}]")
    violations += validate_blocks(definition.get("blocks"), person.team, kind)
    blocks = definition.get("blocks")
    has_input = isinstance(blocks, list) and any(block.get("type") == "input" for block in blocks)
    if kind == "modal" and has_input and "submit" not in definition:
        violations.append("missing required field: submit [json-pointer:/view]")
    return violations
