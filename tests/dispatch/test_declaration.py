"""Suggestions for an option during typing."""

from bot.commands.imagine import Imagine
from tests.bench import Bench


async def test_models_with_the_typed_beginning_come_first_each_with_a_price(bench: Bench) -> None:
    option = Imagine.declaration.option("model")
    assert option is not None
    assert option.autocomplete is not None
    services = bench.app.dispatcher.services

    all_choices = option.autocomplete(services, "")
    matching_choices = option.autocomplete(services, "DE")

    assert [choice.label for choice in all_choices] == [
        "FLUX schnell · 3 credits",
        "FLUX dev · 25 credits",
        "FLUX 1.1 pro · 40 credits",
        "SDXL · about 5.8, at most 58.5 credits",
    ]
    assert [choice.value for choice in matching_choices] == ["flux-dev"]
