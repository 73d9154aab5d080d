"""The menu of verbs, and the errors of verbs that cannot start."""

from pathlib import Path

import pytest

from bot.cli import VERBS, main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def chdir_to_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without .env."""
    monkeypatch.chdir(tmp_path)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert main(["dance"]) == 2

    output = capsys.readouterr().out
    assert [verb for verb in VERBS if f"  {verb} " not in output] == []


def test_each_verb_has_a_file() -> None:
    assert all((ROOT / "bot" / "cli" / f"{verb}.py").is_file() for verb in VERBS)


def test_run_without_a_token_fails_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 1

    assert "REPLICATE_API_TOKEN is missing. `python -m bot demo` needs none" in capsys.readouterr().err


def test_a_misspelt_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("REPLICATE_API_TOKN=r8_x\n", encoding="utf-8")

    assert main(["run"]) == 1

    assert "REPLICATE_API_TOKN is not a setting; did you mean REPLICATE_API_TOKEN?" in capsys.readouterr().err


def test_doctor_reports_missing_settings_with_a_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1

    output = capsys.readouterr().out
    assert "ok    The database opens, and what guards the ledger is in place." in output
    assert "fail  REPLICATE_API_TOKEN is missing.\n      Make one at replicate.com" in output


def test_doctor_reports_invalid_settings(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("HTTP_PORT=many\n", encoding="utf-8")

    assert main(["doctor", "--offline"]) == 1

    assert "fail  HTTP_PORT should be a valid integer, not 'many'." in capsys.readouterr().out


def test_doctor_offline_needs_no_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline"]) == 0

    assert "fail" not in capsys.readouterr().out


def test_a_public_page_needs_a_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_" + "a" * 37)
    monkeypatch.setenv("HTTP_HOST", "0.0.0.0")  # noqa: S104 - that is the point
    monkeypatch.setenv("HTTP_PORT", "0")

    assert main(["run"]) == 1

    assert "needs WEB_TOKEN" in capsys.readouterr().err


def test_health_reports_a_missing_bot(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HTTP_PORT", "9")

    assert main(["health"]) == 1

    assert "Nothing answers at 127.0.0.1:9." in capsys.readouterr().out


def test_output_needs_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--output", "a.png"])

    assert "--output goes with --once" in capsys.readouterr().err
