"""Suggestions while somebody types."""

from bot.commands.imagine import Imagine
from tests.bench import Bench


async def test_models_are_suggested_with_their_prices_those_that_begin_so_first(bench: Bench) -> None:
    option = Imagine.declaration.option("model")
    assert option is not None
    assert option.autocomplete is not None
    services = bench.app.dispatcher.services

    everything = option.autocomplete(services, "")
    some = option.autocomplete(services, "DE")

    assert [choice.label for choice in everything] == [
        "FLUX schnell · 3 credits",
        "FLUX dev · 25 credits",
        "FLUX 1.1 pro · 40 credits",
        "SDXL · about 5.8, at most 58.5 credits",
    ]
    assert [choice.value for choice in some] == ["flux-dev"]
