"""Files on this machine are readable by the bot's user alone: database, pictures, keys; doctor looks at .env."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main
from bot.core.private_files import create_private_folder, restrict
from bot.media.media_store import MediaStore
from tests.cli.terminal import OwnerTerminal
from tests.fakes.backend import make_png

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Files are created as readable as a program asks for."""
    before = os.umask(0)
    yield
    os.umask(before)


def find_readable(folder: Path) -> dict[str, str]:
    """Return the paths that others may read, with their modes."""
    paths = [folder, *folder.rglob("*")]
    return {str(path): oct(path.stat().st_mode) for path in paths if path.stat().st_mode & 0o077}


def start_bot() -> "subprocess.Popen[str]":
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot", "run"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "HTTP_PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert bot.stderr is not None
    while "Easel is at" not in (line := bot.stderr.readline()):
        assert line, "the bot ended"
    return bot


def stop_bot(bot: "subprocess.Popen[str]") -> None:
    bot.send_signal(signal.SIGTERM)
    bot.communicate(timeout=20)


def test_a_new_installation_is_readable_by_its_user_alone(owner: OwnerTerminal) -> None:
    bot = start_bot()
    found = find_readable(Path("data"))
    names = {path.name for path in Path("data").iterdir()}
    stop_bot(bot)

    assert found == {}
    assert {"easel.db", "easel.db-wal", "easel.db-shm", "easel.db.lock", "web.key"} <= names
    assert find_readable(Path("data")) == {}


def test_an_existing_installation_is_taken_from_other_readers(owner: OwnerTerminal) -> None:
    stop_bot(start_bot())
    media = Path("data/media")
    media.mkdir(exist_ok=True)
    for path in (Path("data"), *Path("data").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)

    bot = start_bot()
    found = find_readable(Path("data"))
    stop_bot(bot)

    assert found == {}


def test_a_database_elsewhere_is_private_and_its_folder_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared = tmp_path / "shared"
    shared.mkdir(0o755)
    (shared / "easel.db").touch(0o644)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{shared}/easel.db")

    assert main(["doctor", "--offline"]) == 0

    assert find_readable(shared) == {str(shared): "0o40755"}


async def test_pictures_are_readable_by_the_bot_s_user_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"

    await MediaStore(data).save(make_png(), "image/png")

    assert find_readable(data) == {}


def test_folders_of_others_and_of_everybody_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody, home = tmp_path / "tmp", tmp_path / "home"
    everybody.mkdir()
    everybody.chmod(0o1777)
    home.mkdir(0o755)
    monkeypatch.setenv("HOME", str(home))

    for folder in (everybody, home):
        create_private_folder(folder)
        restrict(folder)

    assert [oct(folder.stat().st_mode & 0o7777) for folder in (everybody, home)] == ["0o1777", "0o755"]


@pytest.mark.parametrize(("mode", "is_named"), [(0o644, True), (0o640, True), (0o600, False), (0o400, False)])
def test_doctor_says_when_others_can_read_the_settings(
    mode: int, is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("HTTP_PORT=9000\n", encoding="utf-8")
    Path(".env").chmod(mode)

    assert main(["doctor", "--offline"]) == 0

    line = "warn  Other users of this machine can read .env, which holds your secrets.\n      Run: chmod 600 .env"
    assert (line in capsys.readouterr().out) is is_named


def test_doctor_says_when_others_can_read_a_secret_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "web token"
    secret.write_text("a-made-up-token", encoding="utf-8")
    secret.chmod(0o644)
    monkeypatch.setenv("WEB_TOKEN_FILE", str(secret))

    assert main(["doctor", "--offline"]) == 0

    output = capsys.readouterr().out
    assert f"Run: chmod 600 '{secret}'" in output
    assert "a-made-up-token" not in output


@pytest.mark.parametrize(
    ("name", "value", "is_open"),
    [("HTTP_PORT", "9000", True), ("WEB_TOKEN", "0123456789abcdef", False), ("PUBLIC_URL", "https://a.example", False)],
)
def test_doctor_says_when_the_page_needs_no_key(
    name: str,
    value: str,
    is_open: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)

    main(["doctor", "--offline"])

    assert ("Set WEB_TOKEN before you put a proxy in front" in capsys.readouterr().out) is is_open
