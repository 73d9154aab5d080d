"""What a start leaves behind does not stop the loop later."""

import gc
from collections.abc import Iterator

import pytest

from bot.cli.run import freeze_startup_objects


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector is as before afterwards."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_no_collection_looks_again_at_what_a_start_made() -> None:
    made_at_start = [{"a": 1}]
    freeze_startup_objects()
    made_later = [{"b": 2}]

    looked_at = {id(one) for one in gc.get_objects()}

    assert id(made_at_start) not in looked_at
    assert id(made_later) in looked_at
