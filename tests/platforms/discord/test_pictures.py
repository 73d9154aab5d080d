"""Pictures: asked for, watched, and gone on with."""

from tests.platforms.discord.town import Town, is_done


async def test_a_picture_is_asked_for_and_made_again(town: Town) -> None:
    asked = await town.ana.command("imagine", {"prompt": "a fox in the snow"})

    message = await (await asked.message()).becomes(is_done)
    again = await town.ana.press(message, "Again")
    second = await (await again.message()).becomes(is_done)

    assert [picture.alt_text for picture in message.gallery] == ["a fox in the snow (drawn by FLUX schnell)"]
    assert message.is_v2
    assert second.id != message.id
    assert len(town.backend.runs) == 2
