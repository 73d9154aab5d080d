"""The sandbox deletes old predictions, so that memory stays bounded; and the sandbox's thread."""

import urllib.request
from datetime import UTC, datetime

from bot.sandbox.clock import SandboxClock
from bot.sandbox.input_files import FileStore
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore, SandboxStatus
from bot.sandbox.server import SandboxOptions, SandboxThread


def add_finished(store: SandboxPredictionStore, text: str) -> SandboxPrediction:
    now = datetime.now(UTC)
    prediction = SandboxPrediction("acme/model", "hidden", {"prompt": text}, now, streams_files=False)
    store.add(prediction)
    prediction.status, prediction.completed_at = SandboxStatus.SUCCEEDED, now
    store.record_finished(prediction)
    return prediction


async def test_only_the_latest_predictions_are_remembered() -> None:
    store = SandboxPredictionStore(SandboxClock(), lifetime_seconds=60, max_predictions=3)

    predictions = [add_finished(store, str(n)) for n in range(5)]

    assert list(store.list_newest_first()) == predictions[:1:-1]
    assert store.find_by_stream(predictions[0].stream_token) is None
    assert store.created_count == 5


async def test_old_data_is_dropped_when_memory_is_short() -> None:
    store = SandboxPredictionStore(SandboxClock(), lifetime_seconds=60, max_bytes=30_000)

    first, second = add_finished(store, "x" * 20_000), add_finished(store, "y" * 20_000)

    assert (first.data_removed, second.data_removed) == (True, False)


def test_a_file_store_drops_the_least_recently_read_files() -> None:
    file_store = FileStore(SandboxClock(), lifetime_seconds=60, max_bytes=250)
    first, second = (file_store.put(b"x" * 100, "x", "text/plain") for _ in range(2))
    assert file_store.get(first)

    third = file_store.put(b"x" * 100, "x", "text/plain")

    assert [bool(file_store.get(key)) for key in (first, second, third)] == [True, False, True]
    file_store.close()


def test_a_sandbox_runs_in_a_thread_of_its_own() -> None:
    thread = SandboxThread(SandboxOptions(speed=0))
    url = thread.start()
    request = urllib.request.Request(f"{url}/v1/account", headers={"Authorization": f"Bearer {thread.token}"})  # noqa: S310 - our own server

    with urllib.request.urlopen(request) as reply:  # noqa: S310 - our own server
        assert reply.status == 200

    thread.stop()
    thread.stop()
