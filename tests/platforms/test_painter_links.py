"""The link to the painter of masks from the Edit button: asked on Discord and Slack, painted on the page."""

from pathlib import Path
from typing import Any

from tests.emulators.discord.messages import walk_components
from tests.fakes.backend import make_png
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.town import is_done, open_town
from tests.platforms.painter_link import PUBLIC_URL, find_token, open_painter_page
from tests.platforms.slack.office import create_office

MASK = make_png(colour="white")
LINKS: dict[str, Any] = {"public_url": PUBLIC_URL, "http_port": 0}


async def test_on_discord_the_edit_form_gives_a_link_and_the_result_comes_into_the_thread(tmp_path: Path) -> None:
    async with open_town(tmp_path, **LINKS) as town, open_painter_page(town.app) as page:
        thread = await town.ana.open_private_thread("surprise", channel=town.general)
        picture = await draw_picture(town.ana, channel=thread, prompt="a fox")
        form = await (await town.ana.press(picture, "Edit")).wait_for_modal()
        answer = await town.ana.submit(form, {"Prompt": "a red hat", "Paint": "yes"})
        token = find_token((await answer.wait_for_private_message()).text)
        assert town.backend.last_run.model.key == "flux-schnell"

        status, opened = await page.open(token)
        assert (status, opened["words"], opened["place"]) == (200, "a red hat", "Discord")
        assert (await page.fetch_picture(token))[1] == make_png()
        assert await page.send(token, MASK) == (200, {"error": ""})
        edited = await town.wait_until(lambda: thread.last_message.id != picture.id and thread.last_message)
        await edited.wait_until(is_done)

        assert edited.pictures
        assert "Ana: /edit a red hat" in edited.text
        assert town.general.messages == []
        assert town.backend.last_run.model.key == "sd-inpainting"
        assert "mask" in town.backend.last_run.inputs


async def test_on_discord_nobody_else_gets_a_link_to_a_private_thread_s_picture(tmp_path: Path) -> None:
    async with open_town(tmp_path, **LINKS) as town:
        thread = await town.ana.open_private_thread("surprise", channel=town.general)
        secret = await draw_picture(town.ana, channel=thread, prompt="a fox")
        public = await draw_picture(town.ben, prompt="a hill")
        # Ben's press of his own message's button comes with the id of Ana's job.
        jobs = await town.get_job_id(public), await town.get_job_id(secret)
        for node in walk_components(public.components):
            node |= {"custom_id": node["custom_id"].replace(*jobs)} if "custom_id" in node else {}

        refusal = await (await town.ben.press(public, "Edit")).wait_for_private_message()

        assert refusal.text == "That job is not here any more, so its buttons do nothing."


async def test_on_discord_a_typed_command_s_link_goes_to_direct_messages(tmp_path: Path) -> None:
    async with open_town(tmp_path, **LINKS) as town, open_painter_page(town.app) as page:
        await draw_picture(town.ben, prompt="a hill")
        await town.ana.say(f"{town.emulator.bot.mention} edit a red hat --paint yes", town.general)
        told = await town.wait_until(lambda: town.ana.direct_channel.messages and town.ana.direct_channel.last_message)

        token = find_token(told.text)
        assert all("paint#" not in message.text for message in town.general.messages)
        assert (await page.send(token, MASK))[0] == 200
        edited = await town.wait_until(lambda: town.general.messages[2:] and town.general.last_message)
        await edited.wait_until(is_done)
        assert edited.pictures


async def test_on_slack_the_edit_form_gives_a_link_and_the_result_comes_into_the_channel(tmp_path: Path) -> None:
    office = await (await create_office(tmp_path, **LINKS)).open()
    try:
        async with open_painter_page(office.app) as page:
            await office.ana.use_command("/imagine", "a fox", office.general)
            picture = await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)
            await office.ana.press(picture, "Edit")
            form = await office.ana.wait_for_modal("Edit picture")
            await office.ana.submit(form, {"prompt": "a red hat", "paint": ["yes"]})
            told = await office.ana.wait_for_private_message("Paint the part that may change")
            token = find_token(told.visible_text)

            assert (await page.open(token))[1]["place"] == "Slack"
            assert await page.send(token, MASK) == (200, {"error": ""})
            edited = await office.general.wait_for_bot_message("inpainting", after=picture, condition=lambda m: m.files)
            assert "Ana: /edit a red hat" in edited.visible_text
            assert "mask" in office.backend.last_run.inputs
            assert office.slack.violations == []
    finally:
        await office.close()
        await office.slack.stop()
