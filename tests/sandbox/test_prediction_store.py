"""The sandbox deletes old predictions, so that memory stays bounded; and the sandbox's thread."""

import urllib.request
from datetime import UTC, datetime

from bot.sandbox.clock import SandboxClock
from bot.sandbox.file_store import FileStore
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore, SandboxStatus
from bot.sandbox.server import SandboxOptions, SandboxThread


def finished(store: SandboxPredictionStore, text: str) -> SandboxPrediction:
    now = datetime.now(UTC)
    prediction = SandboxPrediction("acme/model", "hidden", {"prompt": text}, now, streams_files=False)
    store.add(prediction)
    prediction.status, prediction.completed_at = SandboxStatus.SUCCEEDED, now
    store.record_finished(prediction)
    return prediction


async def test_only_the_latest_predictions_are_remembered() -> None:
    store = SandboxPredictionStore(SandboxClock(), lifetime_seconds=60, max_predictions=3)

    predictions = [finished(store, str(n)) for n in range(5)]

    assert list(store.list_newest_first()) == predictions[:1:-1]
    assert store.find_by_stream(predictions[0].stream_token) is None
    assert store.created_count == 5


async def test_heavy_data_goes_first_when_memory_is_short() -> None:
    store = SandboxPredictionStore(SandboxClock(), lifetime_seconds=60, max_bytes=30_000)

    first, second = finished(store, "x" * 20_000), finished(store, "y" * 20_000)

    assert (first.data_removed, second.data_removed) == (True, False)


def test_a_shelf_keeps_to_its_size_and_drops_what_was_not_read_for_longest() -> None:
    shelf = FileStore(SandboxClock(), lifetime_seconds=60, max_bytes=250)
    first, second = (shelf.put(b"x" * 100, "x", "text/plain") for _ in range(2))
    assert shelf.get(first)

    third = shelf.put(b"x" * 100, "x", "text/plain")

    assert [bool(shelf.get(key)) for key in (first, second, third)] == [True, False, True]
    shelf.close()


def test_a_sandbox_runs_in_a_thread_of_its_own() -> None:
    thread = SandboxThread(SandboxOptions(speed=0))
    url = thread.start()
    request = urllib.request.Request(f"{url}/v1/account", headers={"Authorization": f"Bearer {thread.token}"})  # noqa: S310 - our own server

    with urllib.request.urlopen(request) as reply:  # noqa: S310 - our own server
        assert reply.status == 200

    thread.stop()
    thread.stop()
