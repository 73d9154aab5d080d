"""GET /api/jobs/{id}: the job's record for the page's drawer."""

import json
from datetime import datetime
from pathlib import Path

from tests.platforms.web.web_bot import open_web_bot

BATCH_NAMES = ["1-red-fox.png", "2-blue-fox.png"]


async def test_a_record_holds_steps_request_prediction_price_and_ledger_entries(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        user = web_bot.open_browser()
        picture = await user.ask("/imagine a fox --seed 7")

        record = await user.wait_for_record(picture["job"])

    assert [step["state"] for step in record["steps"]] == [
        "accepted",
        "queued",
        "submitting",
        "running",
        "finished",
        "delivered",
    ]
    times = [datetime.fromisoformat(step["at"]) for step in record["steps"]]
    assert times == sorted(times)
    assert times[0].utcoffset() is not None
    assert (record["command"], record["by"], record["request"]["title"]) == ("imagine", "You", "FLUX schnell")
    assert record["request"]["inputs"] == {"prompt": "a fox", "seed": 7} | record["request"]["inputs"]
    assert record["prediction"]["id"] == web_bot.backend.last_run.id
    assert record["prediction"]["metrics"] == {"predict_seconds": 1.5, "cost": "3"}
    assert record["price"] == {"about": "3", "at_most": "3", "paid": "3"}
    assert [(row["kind"], row["account"], row["balance"], row["held"]) for row in record["money"]] == [
        ("hold", "wallet:daily", "0", "3"),
        ("hold", "budget:bot", "0", "3"),
        ("settle", "wallet:daily", "−3", "−3"),
        ("settle", "budget:bot", "−3", "−3"),
    ]


async def test_a_record_names_an_input_file_without_the_bytes(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        user = web_bot.open_browser()
        picture = await user.ask("/imagine a fox")
        press = {"action": "upscale", "job": picture["job"], "n": 1, "message": picture["id"]}
        await user.post("/api/press", press)
        upscaled = await user.wait_for_result(after=picture["id"])

        record = await user.wait_for_record(upscaled["job"])

    [file] = [value for value in record["request"]["inputs"].values() if isinstance(value, dict)]
    assert file.keys() == {"sha256", "mime", "size", "width", "height"}
    assert "base64" not in json.dumps(record)


async def test_the_record_of_a_failed_job_holds_the_error_and_the_release(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        user = web_bot.open_browser()
        web_bot.backend.will(error="out of memory")
        failed = await user.ask("/imagine a fox")

        record = await user.wait_for_record(failed["job"])

    assert (record["state"], record["steps"][-1]["state"]) == ("failed", "failed")
    assert "out of memory" in record["error"]
    assert record["money"][-2]["kind"] == "release"
    assert record["price"]["paid"] == "0"


async def test_an_unknown_job_is_not_found(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        user = web_bot.open_browser()

        assert [await user.get(f"/api/jobs/{name}") for name in ("0" * 20, "x", "..%2f", "'")] == [404] * 4


async def test_a_batch_is_asked_confirmed_and_shown_on_the_page(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        user = web_bot.open_browser()
        question = await user.ask("/imagine {red|blue} fox")
        assert question["text"].startswith("2 pictures with FLUX schnell cost 6 credits. Go ahead?")
        draw = next(button for button in question["buttons"] if button["label"] == "Draw 2")

        await user.post("/api/press", {**draw, "message": question["id"]})
        batch = await user.wait_for_result(after=question["id"])

    assert [picture["name"] for picture in batch["pictures"]] == ["contact-sheet.jpg", *BATCH_NAMES]
    assert [button["label"] for button in batch["buttons"]] == ["Show 1", "Show 2", "Delete all"]
