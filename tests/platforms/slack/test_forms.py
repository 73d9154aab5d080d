"""Forms in detail: rendered elements and values read from submissions."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from bot.core.file_types import ANY_MEDIA, RECORDINGS
from bot.core.invocations import Attachment, Link
from bot.dispatch.declaration import (
    ChannelOption,
    Choice,
    Command,
    OptionValue,
    PersonOption,
    RoleOption,
    Services,
    command,
    option,
)
from bot.platforms.slack.forms import (
    SlackFormOrigin,
    find_option,
    list_suggestions,
    parse_origin,
    read_values,
    render_modal,
)


def suggest_many(_: Services, typed: str, _given: Mapping[str, OptionValue]) -> list[Choice]:
    return [Choice(f"Model {n}", f"model-{n}") for n in range(60) if typed in f"model-{n}"][:25]


@command("everything")
class EveryOptionKind(Command):
    """A command with an option of each kind."""

    words: str = option("Which words?", max_length=1500, words=True)
    name: str | None = option("Which name?", default=None, max_length=80)
    model: str = option("Which model?", default="", autocomplete=suggest_many)
    shape: str | None = option("Which shape?", default=None, choices=("1:1", "16:9"))
    count: int = option("How many?", default=2, minimum=1, maximum=4)
    share: float | None = option("How much?", default=None, minimum=0, maximum=1)
    loud: bool = option("Loudly?", default=True)
    soft: bool | None = option("Softly?", default=None)
    who: PersonOption | None = option("Who?", default=None)
    group: RoleOption | None = option("Which group?", default=None)
    where: ChannelOption | None = option("Where?", default=None)
    image: Attachment | Link | None = option("Which picture?", default=None)
    recording: Attachment | Link | None = option("Which recording?", default=None, media=RECORDINGS)
    anything: Attachment | Link | None = option("Which file?", default=None, media=ANY_MEDIA)


SERVICES = cast(Services, SimpleNamespace(menu=(EveryOptionKind,)))


def render_elements(**values: Any) -> dict[str, dict[str, Any]]:
    """Return the rendered elements by option."""
    view = render_modal(EveryOptionKind.declaration, SERVICES, SlackFormOrigin("everything"), values=values)
    return {block["block_id"]: block["element"] for block in view["blocks"]}


def test_each_kind_of_option_has_an_element() -> None:
    kinds = {name: element["type"] for name, element in render_elements().items()}

    assert kinds == {
        "words": "plain_text_input",
        "name": "plain_text_input",
        "model": "external_select",
        "shape": "static_select",
        "count": "number_input",
        "share": "number_input",
        "loud": "checkboxes",
        "soft": "checkboxes",
        "who": "users_select",
        "group": "plain_text_input",
        "where": "channels_select",
        "image": "file_input",
        "recording": "file_input",
        "anything": "file_input",
    }


def test_elements_carry_bounds_and_defaults() -> None:
    fields = render_elements(words="a fox", shape="16:9", model="model-7")

    assert fields["words"]["initial_value"] == "a fox"
    assert fields["words"]["multiline"]
    assert not fields["name"]["multiline"]
    assert fields["shape"]["initial_option"]["value"] == "16:9"
    assert fields["model"]["initial_option"]["value"] == "model-7"
    assert (fields["count"]["min_value"], fields["count"]["max_value"], fields["count"]["initial_value"]) == (
        "1",
        "4",
        "2",
    )
    assert "initial_options" in fields["loud"]
    assert "initial_options" not in fields["soft"]


def test_a_menu_of_many_entries_asks_for_suggestions_during_typing() -> None:
    option_ = find_option("model", SERVICES.menu, SlackFormOrigin("everything"))
    assert option_ is not None

    offered = list_suggestions(SERVICES, option_, "-59")

    assert [one["value"] for one in offered] == ["model-59"]


def test_an_unticked_box_means_no_only_if_the_default_is_yes() -> None:
    empty = {"type": "checkboxes", "selected_options": []}
    view = {"state": {"values": {"loud": {"loud": empty}, "soft": {"soft": empty}}}}

    assert read_values(view, EveryOptionKind.declaration) == {"loud": False, "soft": ""}


def test_the_origin_of_a_form_comes_back_with_its_submission() -> None:
    origin = SlackFormOrigin("everything", "C1", "1.2", "edit", "job", 3, "1.3", [{"id": "F1", "name": "a.png"}])

    back = parse_origin({"callback_id": "easel_form", "private_metadata": origin.serialize()})

    assert back == origin
    assert parse_origin({"callback_id": "theirs", "private_metadata": origin.serialize()}) is None
    assert parse_origin({"callback_id": "easel_form", "private_metadata": "nonsense"}) is None


def test_a_file_with_a_long_address_still_fits() -> None:
    file = {"id": "F1", "url_private": "https://files.slack.com/" + "x" * 4_000}
    origin = SlackFormOrigin("everything", files=[file, file])

    assert len(origin.serialize()) <= 3_000
    assert parse_origin({"callback_id": "easel_form", "private_metadata": origin.serialize()}) == SlackFormOrigin(
        "everything", files=[{"id": "F1"}, {"id": "F1"}]
    )


def test_a_field_for_files_offers_the_types_of_its_kinds() -> None:
    elements = render_elements()

    assert "png" in elements["image"]["filetypes"]
    assert {"mp3", "ogg", "m4a", "mp4", "webm", "mov"} <= set(elements["recording"]["filetypes"])
    assert "png" not in elements["recording"]["filetypes"]
    assert "filetypes" not in elements["anything"]
