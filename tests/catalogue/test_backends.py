"""The tables `[backends.NAME]` of the catalogue file, and the keys that they name."""

from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.app import App
from bot.catalogue.loading import CatalogueError, load_backends, load_catalogue
from bot.core.backend import BackendKind, LostRuns
from bot.settings import Settings, SettingsError, load_configured_backends
from tests.fakes.samples import DEFAULT_SETTINGS

TABLE = '[backends.far]\nkind = "replicate"\nurl = "http://127.0.0.1:9/"\n'
MODEL = """
[owl]
title = "Owl"
task = "imagine"
backend = "far"
ref = "ana/owl"
output = "pictures"
usual_seconds = 2
max_seconds = 60
price = { tiers = [{ per = "run", usd = "0" }], source = "own hardware", read_on = 2026-12-01 }
inputs = { prompt = "prompt" }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text)
    return path


def load_both(path: Path) -> None:
    load_backends(path)
    load_catalogue(path)


def make_settings(path: Path, folder: Path, token: str = "") -> Settings:
    changes = {
        "catalogue_path": path,
        "data_dir": folder,
        "replicate_api_token": SecretStr(token) if token else None,
    }
    return DEFAULT_SETTINGS.model_copy(update=changes)


def test_a_table_describes_a_server_and_models_name_it(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE + 'key_env = "FAR_KEY"\nat_once = 2\nlost_runs = "charge"\n' + MODEL)

    (far,) = load_backends(path)

    assert (far.name, far.kind, far.url) == ("far", BackendKind.REPLICATE, "http://127.0.0.1:9")
    assert (far.key_env, far.at_once, far.lost_runs, far.folder) == ("FAR_KEY", 2, LostRuns.CHARGE, tmp_path)
    assert far.origin == "http://127.0.0.1:9"
    assert [model.backend for model in load_catalogue(path)] == ["far"]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("backends.far", "backends.replicate", "[backends.replicate] needs another name"),
        ("backends.far", "backends.Far", "[backends.Far] needs another name"),
        ('kind = "replicate"', 'kind = "magic"', "'magic' is not a valid BackendKind"),
        ('kind = "replicate"\n', "", "[backends.far] lacks 'kind'."),
        ("http://127.0.0.1:9/", "127.0.0.1:9", "url is an address such as http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:9/", "file:///etc/passwd", "url is an address"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/?key=1", "url is an address"),
        ("http://127.0.0.1:9/", "http://ana:secret12@127.0.0.1:9/", "url holds a name or a password"),
        ("url =", 'key = "sk-1234567890"\nurl =', "Write the key into a variable, and its name as key_env."),
        ("url =", 'key_env = "sk-1234567890"\nurl =', "never the key itself"),
        ("url =", "at_once = 0\nurl =", "at_once is how many runs"),
        ('backend = "far"', 'backend = "near"', "[owl] names the backend near"),
    ],
)
def test_a_mistake_in_a_table_is_named_without_secrets(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    path = write(tmp_path, (TABLE + MODEL).replace(before, after))

    with pytest.raises(CatalogueError) as caught:
        load_both(path)

    assert sentence in str(caught.value)
    assert "secret12" not in str(caught.value)
    assert "sk-1234567890" not in str(caught.value)


def test_a_key_comes_from_a_variable_or_a_file_and_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(write(tmp_path, TABLE + 'key_env = "FAR_KEY"\n' + MODEL), tmp_path)
    monkeypatch.setenv("FAR_KEY", "sk-from-the-environment")
    (by_variable,) = load_configured_backends(settings)
    assert "sk-from-the-environment" in settings.list_secrets()
    monkeypatch.delenv("FAR_KEY")
    (tmp_path / "key").write_text("sk-from-a-file\n")
    monkeypatch.setenv("FAR_KEY_FILE", str(tmp_path / "key"))
    (by_file,) = load_configured_backends(settings)
    monkeypatch.setenv("FAR_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="FAR_KEY_FILE"):
        load_configured_backends(settings)

    assert (by_variable.key, by_file.key) == ("sk-from-the-environment", "sk-from-a-file")
    assert "sk-" not in repr(by_variable)


def test_a_dotenv_file_holds_keys_too(tmp_path: Path) -> None:
    settings = make_settings(write(tmp_path, TABLE + 'key_env = "FAR_KEY"\n' + MODEL), tmp_path)
    (tmp_path / ".env").write_text("FAR_KEY=sk-from-dotenv\n")

    (far,) = load_configured_backends(settings, tmp_path / ".env")

    assert far.key == "sk-from-dotenv"


async def test_own_servers_need_no_token_for_replicate_and_its_models_are_then_not_on_offer(tmp_path: Path) -> None:
    elsewhere = MODEL.replace("[owl]", "[fox]").replace('backend = "far"\n', "")
    path = write(tmp_path, TABLE + MODEL + elsewhere)

    alone = App(make_settings(path, tmp_path))
    both = App(make_settings(path, tmp_path, token="r8_1234567890"))

    assert list(alone.backends) == ["far"]
    assert [model.key for model in alone.dispatcher.services.catalogue.list_all()] == ["owl"]
    assert set(both.backends) == {"replicate", "far"}
    assert [model.key for model in both.dispatcher.services.catalogue.list_all()] == ["owl", "fox"]
    for backend in (*alone.backends.values(), *both.backends.values()):
        await backend.close()


async def test_a_further_server_with_replicates_api_leaves_the_webhooks_to_the_first(tmp_path: Path) -> None:
    settings = make_settings(write(tmp_path, TABLE + MODEL), tmp_path, "r8_1234567890")
    app = App(settings.model_copy(update={"public_url": "https://bot.example"}))

    # aiohttp refuses a second handler of one route: the bot would not start.
    served = web.Application().add_routes(app.routes())

    assert [(route.method, route.resource.canonical) for route in served if route.resource] == [
        ("POST", "/webhooks/replicate")
    ]
    for backend in app.backends.values():
        await backend.close()
