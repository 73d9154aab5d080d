"""Drafts appended to a catalogue file."""

from datetime import date
from pathlib import Path

import pytest

from bot.catalogue.drafting import CatalogueDraft, append_entry, draft_entry
from bot.catalogue.loading import BUILT_IN_PATH, CatalogueError, load_catalogue
from tests.catalogue.samples import FOX

FOX_DRAFT = draft_entry(FOX, today=date(2026, 11, 20))


def fill_in_price(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace('"FILL IN"', '"0.01"'), encoding="utf-8")


def test_a_new_file_starts_with_the_built_in_models(tmp_path: Path) -> None:
    path = tmp_path / "own" / "models.toml"

    append_entry(path, FOX_DRAFT)

    assert load_catalogue(path)[-1].price.objection == "has no price yet"
    fill_in_price(path)
    assert [model.key for model in load_catalogue(path)] == [
        *(model.key for model in load_catalogue(BUILT_IN_PATH)),
        "fox",
    ]
    assert list(path.parent.iterdir()) == [path]


def test_the_existing_content_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text("# mine\n\n[owl]\ntitle = 'Owl' # hoo\n\n\n", encoding="utf-8")

    append_entry(path, FOX_DRAFT)

    assert path.read_text(encoding="utf-8").startswith("# mine\n\n[owl]\ntitle = 'Owl' # hoo\n\n[fox]\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[fox]\n", "[fox] is in models.toml already; give the new entry another name with --key."),
        ("[owl", "The catalogue models.toml cannot be read"),
        ("\udcff", "The catalogue models.toml cannot be read"),
    ],
)
def test_an_unsuitable_file_is_refused_and_unchanged(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(CatalogueError) as caught:
        append_entry(path, FOX_DRAFT)

    assert sentence in str(caught.value)
    assert path.read_bytes() == content.encode("utf-8", "surrogateescape")


def test_a_draft_that_would_break_the_file_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text("[owl]\n", encoding="utf-8")

    with pytest.raises(CatalogueError):
        append_entry(path, CatalogueDraft("fox", "[fox\n", ()))

    assert path.read_text(encoding="utf-8") == "[owl]\n"
