"""People: they type commands, press buttons, fill in forms and talk, as their clients let them."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulators.discord.changes import PATIENCE
from tests.emulators.discord.filling import Filling, NotOffered, find_command, nested
from tests.emulators.discord.forms import submitted
from tests.emulators.discord.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction, Modal
from tests.emulators.discord.message_payloads import interaction_json, message_json
from tests.emulators.discord.messages import BUTTON, SELECTS, STRING_SELECT, Message, walk
from tests.emulators.discord.payloads import member_json, user_json
from tests.emulators.discord.posting import Draft, Upload, create_message, delete_message, edit_message
from tests.emulators.discord.posting import upload_limit as limit_of
from tests.emulators.discord.threads import join, open_thread_on, wake
from tests.emulators.discord.world import DIRECT, GROUP, Channel, Guild, Json, Member, Role, User, World

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator

IN_GUILD, WITH_BOT, ELSEWHERE = 0, 1, 2
"""Contexts of an interaction."""
MESSAGE_COMMAND, USER_COMMAND = 3, 2


@dataclass(eq=False)
class Person:
    """Somebody with a client. `guild` is where they act when no channel is named."""

    emulator: "DiscordEmulator"
    user: User
    guild: Guild | None = None

    @property
    def world(self) -> World:
        return self.emulator.world

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def member(self) -> Member:
        assert self.guild is not None, f"{self.user.name} is in no guild"
        return self.guild.members[self.user.id]

    @property
    def direct_channel(self) -> Channel:
        """Between this person and the bot."""
        return self.world.direct_channel(self.user)

    @property
    def private_messages(self) -> list[Message]:
        """The ephemeral messages that only this person sees, oldest first."""
        mine = [one for one in self.world.interactions.values() if one.user is self.user]
        return [message for interaction in mine for message in interaction.private_replies]

    def install_the_app(self) -> None:
        """For the account: its commands are offered everywhere."""
        self.user.has_installed_the_app = True

    def block_the_bot(self) -> None:
        self.user.blocks_direct_messages = True

    def leave(self, guild: Guild | None = None) -> None:
        """Leave a guild."""
        left = guild or self.guild
        assert left is not None
        del left.members[self.user.id]
        told = {"guild_id": str(left.id), "user": user_json(self.user)}
        self.world.announce("GUILD_MEMBER_REMOVE", left, lambda reader: told)

    def give(self, role: Role, guild: Guild | None = None) -> None:
        joined = guild or self.guild
        assert joined is not None
        member = joined.members[self.user.id]
        member.roles.append(role)
        told = member_json(member) | {"guild_id": str(joined.id)}
        self.world.announce("GUILD_MEMBER_UPDATE", joined, lambda reader: told)

    # Commands.

    async def command(
        self, name: str, options: Mapping[str, Any] | None = None, *, channel: Channel | None = None
    ) -> Interaction:
        """Type a slash command, `"imagine"` or `"jobs list"`. Waits until it is registered. Raises NotOffered."""
        return await self._slash(name, options or {}, channel, COMMAND, None)

    async def autocomplete(
        self,
        name: str,
        focused: str,
        typed: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        channel: Channel | None = None,
    ) -> Interaction:
        """Type into one option of a slash command; await `choices_shown()` of what comes back."""
        given = {**(options or {}), focused: typed}
        return await self._slash(name, given, channel, AUTOCOMPLETE, focused)

    async def message_command(self, name: str, message: Message) -> Interaction:
        """Start a command from a message's menu."""
        self._check_sees(message)
        resolved = {"messages": {str(message.id): message_json(message)}}
        return await self._menu(name, MESSAGE_COMMAND, message.channel, message.id, resolved)

    async def user_command(self, name: str, person: "Person", *, channel: Channel | None = None) -> Interaction:
        """Start a command from somebody's menu."""
        place = self._place(channel)
        filling = Filling(self.world, place)
        filling.refer_to(person)
        return await self._menu(name, USER_COMMAND, place, person.id, filling.resolved)

    async def _slash(
        self, name: str, given: Mapping[str, Any], channel: Channel | None, kind: int, focused: str | None
    ) -> Interaction:
        place = self._place(channel)
        first, *path = name.split()
        command = await self._registered(first, 1, place)
        owners = self._owners(command, place)
        filling = Filling(self.world, place)
        data = self._command_data(command)
        data["options"] = nested(command, path, given, filling, focused)
        if filling.resolved:
            data["resolved"] = filling.resolved
        return self._send(kind, place, data, owners)

    async def _menu(self, name: str, kind: int, place: Channel, target: int, resolved: Json) -> Interaction:
        command = await self._registered(name, kind, place)
        data = self._command_data(command) | {"target_id": str(target), "resolved": resolved}
        return self._send(COMMAND, place, data, self._owners(command, place))

    async def _registered(self, name: str, kind: int, place: Channel) -> Json:
        found = await self.world.changes.until(
            lambda: find_command(self.world, place.guild, name, kind), f"the command {name}", PATIENCE
        )
        if found["default_member_permissions"] is not None and place.guild is not None:
            needed = int(found["default_member_permissions"])
            powers = place.guild.members[self.user.id].permissions_in(place)
            if needed & ~powers or (needed == 0 and place.guild.owner is not self.user and not powers & 8):
                raise NotOffered(f"{self.user.name} may not use {name}")
        if found["nsfw"] and place.guild is not None and not place.is_age_restricted:
            raise NotOffered(f"{name} is offered in age-restricted channels only")
        return found

    def _command_data(self, command: Json) -> Json:
        data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
        return data | ({"guild_id": command["guild_id"]} if command.get("guild_id") else {})

    def _owners(self, command: Json, place: Channel) -> dict[str, str]:
        """For whom the application was installed, where that offers this command here. Raises NotOffered."""
        context = context_of(place)
        contexts = command["contexts"]
        if contexts is None:
            contexts = [IN_GUILD, ELSEWHERE, *([WITH_BOT] if command["dm_permission"] else [])]
        if context not in contexts and command.get("guild_id") is None:
            raise NotOffered(f"{command['name']} is not offered in {place.name}")
        owners = {
            kind: owner for kind, owner in self._installs(place).items() if int(kind) in command["integration_types"]
        }
        if not owners:
            raise NotOffered(f"{command['name']} is not installed for {place.name}, nor by {self.user.name}")
        return owners

    def _installs(self, place: Channel) -> dict[str, str]:
        owners = {}
        if place.guild is not None and place.guild.has_bot:
            owners["0"] = str(place.guild.id)
        elif place.kind == DIRECT:
            owners["0"] = "0"
        if self.user.has_installed_the_app:
            owners["1"] = str(self.user.id)
        return owners

    # Messages' parts.

    async def press(self, message: Message, label: str | None = None, *, custom_id: str | None = None) -> Interaction:
        """Press a button, told by its label or its custom id. Raises NotOffered when it is not there or disabled."""
        self._check_sees(message)
        for node in walk(message.components):
            if node["type"] == BUTTON and _is_meant(node, label, custom_id):
                if node.get("disabled"):
                    raise NotOffered(f"the button {label or custom_id} is disabled")
                data: Json = {"custom_id": node["custom_id"], "component_type": BUTTON, "id": node["id"]}
                return self._send(COMPONENT, message.channel, data, self._installs(message.channel), message)
        raise NotOffered(f"there is no button {label or custom_id}, there are {message.labels}")

    async def choose(self, message: Message, values: Sequence[Any], *, custom_id: str | None = None) -> Interaction:
        """Choose from a select menu: values of its options, or users, roles, channels."""
        self._check_sees(message)
        for node in walk(message.components):
            if node["type"] in SELECTS and custom_id in (None, node["custom_id"]):
                filling = Filling(self.world, message.channel)
                chosen = list(values)
                if node["type"] == STRING_SELECT:
                    offered = [option["value"] for option in node["options"]]
                    if any(value not in offered for value in chosen):
                        raise NotOffered(f"the menu offers {offered}")
                else:
                    chosen = [filling.refer_to(value) for value in chosen]
                data: Json = {"custom_id": node["custom_id"], "component_type": node["type"], "id": node["id"]}
                data |= {"values": chosen, **({"resolved": filling.resolved} if filling.resolved else {})}
                return self._send(COMPONENT, message.channel, data, self._installs(message.channel), message)
        raise NotOffered("there is no such menu")

    async def submit(self, modal: Modal, values: Mapping[str, Any] | None = None) -> Interaction:
        """Send a form off; fields by label or custom id, the others as the form was filled when it opened."""
        opened = modal.interaction
        if opened.user is not self.user:
            raise NotOffered(f"{self.user.name} does not see this form")
        data = submitted(modal, values or {}, Filling(self.world, opened.channel))
        return self._send(MODAL_SUBMIT, opened.channel, data, opened.owners, opened.message_pressed)

    # Talking.

    async def say(
        self,
        text: str,
        channel: Channel | None = None,
        *,
        reply_to: Message | None = None,
        files: Sequence[Upload] = (),
    ) -> Message:
        """Post into a channel or thread; an archived one comes back. A reply notifies whom it answers."""
        place = self._place(channel or (reply_to.channel if reply_to else None))
        if place.archived and place.locked:
            raise NotOffered(f"{place.name} is locked")
        draft = Draft({"content": text}, dict(enumerate(files)))
        if place.is_thread:
            wake(self.world, place, self.user)
        kind = 19 if reply_to else 0
        return create_message(self.world, place, self.user, draft, reference=reply_to, kind=kind)

    async def dm(self, text: str, *, reply_to: Message | None = None, files: Sequence[Upload] = ()) -> Message:
        """Post to the bot directly."""
        return await self.say(text, self.direct_channel, reply_to=reply_to, files=files)

    async def edit(self, message: Message, text: str) -> None:
        assert message.author is self.user
        edit_message(self.world, message, Draft({"content": text}, {}))

    async def delete(self, message: Message) -> None:
        delete_message(self.world, message)

    async def join_thread(self, thread: Channel) -> None:
        join(self.world, thread, self.user)

    async def react(self, message: Message, emoji: str) -> None:
        message.reactions.setdefault(emoji, []).append(self.user)
        guild = message.channel.guild
        told: Json = {
            "user_id": str(self.user.id),
            "channel_id": str(message.channel.id),
            "message_id": str(message.id),
            "message_author_id": str(message.author.id),
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
            **({"guild_id": str(guild.id)} if guild else {}),
        }
        self.world.announce("MESSAGE_REACTION_ADD", guild, lambda reader: told)

    async def open_thread(self, name: str, *, on: Message) -> Channel:
        """Open a thread on a message."""
        return open_thread_on(self.world, on, self.user, name, 4320)

    def _place(self, channel: Channel | None) -> Channel:
        if channel is None:
            assert self.guild is not None, "name a channel"
            channel = self.guild.channels[0]
        is_member = channel.guild is None or self.user.id in channel.guild.members
        if not is_member or (channel.guild is None and self.user not in channel.recipients):
            raise NotOffered(f"{self.user.name} is not in {channel.name}")
        if channel.is_deleted:
            raise NotOffered(f"{channel.name} is gone")
        return channel

    def _check_sees(self, message: Message) -> None:
        self._place(message.channel)
        if message.is_deleted or (message.visible_to and message.visible_to is not self.user):
            raise NotOffered(f"{self.user.name} does not see this message")

    def _send(
        self, kind: int, channel: Channel, data: Json, owners: dict[str, str], pressed: Message | None = None
    ) -> Interaction:
        world = self.world
        interaction = Interaction(
            world.ids.next(),
            secrets.token_urlsafe(64),
            kind,
            world,
            self.user,
            channel,
            data,
            world.clock.now(),
            context_of(channel),
            owners,
            pressed,
            limit_of(channel),
            self.emulator.gateway.is_heard(channel.guild),
        )
        world.interactions[interaction.id] = interaction
        world.announce("INTERACTION_CREATE", channel.guild, lambda reader: interaction_json(interaction))
        return interaction


def context_of(channel: Channel) -> int:
    if channel.guild is not None:
        return IN_GUILD
    return ELSEWHERE if channel.kind == GROUP else WITH_BOT


def _is_meant(node: Json, label: str | None, custom_id: str | None) -> bool:
    if not node.get("custom_id"):
        return False  # a link opens in the browser
    return node["custom_id"] == custom_id if custom_id is not None else node.get("label") == label
