"""Objects of the start are exempt from garbage collection."""

import gc
from collections.abc import Iterator

import pytest

from bot.cli.run import freeze_startup_objects


@pytest.fixture
def collector() -> Iterator[None]:
    """Restore the garbage collector's settings."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_startup_objects_are_exempt_from_collection() -> None:
    startup_object = [{"a": 1}]
    freeze_startup_objects()
    later_object = [{"b": 2}]

    collectable = {id(item) for item in gc.get_objects()}

    assert id(startup_object) not in collectable
    assert id(later_object) in collectable
