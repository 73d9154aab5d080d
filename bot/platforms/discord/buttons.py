"""Buttons of Discord: what one does is written into its custom id, so that it works after any restart."""

from dataclasses import dataclass

from bot.core.replies import Button

BUTTON_PREFIX = "easel"
FORM_PREFIX = "easel-form"
ASK_PREFIX = "easel-ask"
LONGEST_LABEL = 80
_PRIMARY, _SECONDARY, _DANGER = 1, 2, 4
_STYLES = {"again": _PRIMARY, "continue": _PRIMARY, "confirm": _PRIMARY, "show": _PRIMARY, "cancel": _DANGER}
_ROW, _BUTTON = 1, 2
_OF_A_ROW = 5
_MOST_ROWS = 5


@dataclass(frozen=True, slots=True)
class CustomId:
    """What a custom id says: the action, the job it acts on, and which picture (0 for none)."""

    action: str
    job: str
    n: int


def build_custom_id(action: str, job: str, n: int = 0, *, prefix: str = BUTTON_PREFIX) -> str:
    """At most 100 characters, as Discord wants it."""
    return f"{prefix}:{action}:{job}:{n}"


def parse_custom_id(custom: str, *, prefix: str = BUTTON_PREFIX) -> CustomId | None:
    """What a custom id of ours says; None for any other."""
    match custom.split(":"):
        case [first, action, job, n] if first == prefix and action and n.isdecimal():
            return CustomId(action, job, int(n))
    return None


def render_button_rows(buttons: tuple[Button, ...]) -> list[dict[str, object]]:
    """Rows of at most five: below the pictures what each of several offers, a row for each kind, and then the rest."""
    numbered = [button for button in buttons if button.n]
    actions = list(dict.fromkeys(button.action for button in numbered))
    many = {action for action in actions if sum(button.action == action for button in numbered) > 1}
    groups = [[button for button in numbered if button.action == action] for action in actions if action in many]
    groups.append([button for button in buttons if button.action not in many])
    made = [_render_row(group[n : n + _OF_A_ROW]) for group in groups for n in range(0, len(group), _OF_A_ROW)]
    return made[:_MOST_ROWS]


def _render_row(buttons: list[Button]) -> dict[str, object]:
    return {"type": _ROW, "components": [_render_button(button) for button in buttons]}


def _render_button(button: Button) -> dict[str, object]:
    label = button.label if len(button.label) <= LONGEST_LABEL else f"{button.label[: LONGEST_LABEL - 1]}…"
    style = _STYLES.get(button.action, _SECONDARY)
    return {
        "type": _BUTTON,
        "style": style,
        "label": label,
        "custom_id": build_custom_id(button.action, button.job, button.n),
    }
