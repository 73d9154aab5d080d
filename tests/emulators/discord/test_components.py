"""Components obey Discord's rules."""

from typing import Any

import pytest

from tests.emulators.discord.components import render_components, validate_components, validate_modal
from tests.emulators.discord.messages import extract_buttons, extract_text
from tests.emulators.discord.state import Json


def text(content: str = "hello") -> Json:
    return {"type": 10, "content": content}


def button(custom_id: str = "a", **parts: Any) -> Json:
    return {"type": 2, "style": 1, "custom_id": custom_id, "label": "A", **parts}


def row(*components: Json) -> Json:
    return {"type": 1, "components": list(components)}


def container(*components: Json) -> Json:
    return {"type": 17, "components": list(components)}


def gallery(*names: str) -> Json:
    return {"type": 12, "items": [{"media": {"url": f"attachment://{name}"}} for name in names]}


def select(*values: str, **parts: Any) -> Json:
    return {"type": 3, "custom_id": "s", "options": [{"label": value, "value": value} for value in values], **parts}


@pytest.mark.parametrize(
    ("components", "sentence"),
    [
        ([text() for _ in range(41)], "41 components, at most 40"),
        ([container(*[text() for _ in range(40)])], "41 components, at most 40"),
        ([text("a" * 2001), container(text("b" * 2000))], "4001 characters of text"),
        ([row(button("a"), button("a"))], "custom_id a appears twice"),
        ([row(*[button(str(number)) for number in range(6)])], "6 buttons in a row"),
        ([row(button(label=None))], "a label or an emoji"),
        ([row(button(custom_id=""))], "a custom id is required"),
        ([row(button(style=5))], "a link button has a url"),
        ([row(button(url="https://here.example"))], "only link buttons have a url"),
        ([row(select("a"), button())], "a select fills its row"),
        ([row(select("a", "a"))], "a value appears twice"),
        ([row(select("a", max_values=2))], "more values wanted"),
        ([text(" ")], "a text display needs text"),
        ([{"type": 9, "components": [text()]}], "a section needs an accessory"),
        ([gallery("owl.png")], "attachment://owl.png is no file"),
        ([{"type": 13, "file": {"url": "attachment://owl.txt"}}], "attachment://owl.txt is no file"),
    ],
)
def test_an_invalid_layout_is_refused(components: list[Json], sentence: str) -> None:
    faults = [str(fault) for fault in validate_components(components, is_v2=True, filenames={"fox.png"})]

    assert any(sentence in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("components", "sentence"),
    [
        ([text()], "only rows stand at the top"),
        ([row(button(str(number))) for number in range(6)], "6 rows, at most 5"),
    ],
)
def test_without_the_flag_there_are_rows_only(components: list[Json], sentence: str) -> None:
    faults = [str(fault) for fault in validate_components(components, is_v2=False, filenames=())]

    assert any(sentence in fault for fault in faults), faults


def test_a_valid_layout_is_accepted_and_read_in_order() -> None:
    section = {"type": 9, "components": [text("two")], "accessory": button("b", label="B")}
    components = [text("one"), container(section, gallery("fox.png"), row(button(), emoji_button()))]

    assert list(validate_components(components, is_v2=True, filenames={"fox.png"})) == []
    assert extract_text("", (), components) == "one\ntwo"
    assert [found.label for found in extract_buttons(components)] == ["B", "A", ""]


def emoji_button() -> Json:
    return button("c", label="", emoji={"name": "🦊"}, disabled=True)


def test_ids_and_defaults_are_filled_in() -> None:
    (made,) = render_components([container({**text(), "id": 2}, row(button()))], ())

    assert [made["id"], *(node["id"] for node in made["components"])] == [1, 2, 3]
    assert made["accent_color"] is None
    assert made["components"][1]["components"][0]["disabled"] is False


def test_a_form_has_at_most_five_rows_and_unique_custom_ids() -> None:
    def field(custom_id: str, **parts: Any) -> Json:
        return {"type": 18, "label": "A", "component": {"type": 4, "custom_id": custom_id, "style": 1, **parts}}

    many = {"components": [field(str(number)) for number in range(6)]}
    twins = {"components": [field("a"), field("a")]}
    long = {"components": [field("a", value="abc", max_length=2)]}

    assert [[str(fault) for fault in validate_modal(modal)] for modal in (many, twins, long)] == [
        ["data.components: 6 rows, at most 5 allowed"],
        ["data.components: custom_id a appears twice"],
        ["data.components.0.component.value: 3 characters, at most 2 allowed"],
    ]
