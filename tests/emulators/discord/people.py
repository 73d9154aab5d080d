"""People with a client: commands, buttons, forms and messages, within the client's own rules."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.discord.files import VOICE_MESSAGE, DiscordFileUpload, get_upload_limit
from tests.emulators.discord.forms import (
    ActionNotAvailable,
    InteractionDataBuilder,
    build_submission,
    fill_nested_options,
    find_command,
)
from tests.emulators.discord.interactions import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL_SUBMIT,
    DiscordInteractionState,
    DiscordModalState,
)
from tests.emulators.discord.message_payloads import interaction_json, message_json
from tests.emulators.discord.messages import BUTTON, SELECTS, STRING_SELECT, DiscordMessageState, walk_components
from tests.emulators.discord.payloads import format_timestamp, member_json, user_json
from tests.emulators.discord.posting import DiscordMessageDraft, create_message, delete_message, edit_message, publish
from tests.emulators.discord.state import (
    DIRECT,
    GROUP,
    PRIVATE_THREAD,
    DiscordChannelState,
    DiscordGuildState,
    DiscordMemberState,
    DiscordRoleState,
    DiscordState,
    DiscordUserState,
    Json,
)
from tests.emulators.discord.threads import activate_thread, add_member_to_thread, open_thread, open_thread_on_message

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator


IN_GUILD, IN_BOT_DIRECT_MESSAGE, IN_PRIVATE_CHANNEL = 0, 1, 2
"""Contexts of an interaction."""
MESSAGE_COMMAND, USER_COMMAND = 3, 2


@dataclass(eq=False)
class DiscordPerson:
    """A person with a client. `guild` is the default place of actions without a channel."""

    emulator: "DiscordEmulator"
    user: DiscordUserState
    guild: DiscordGuildState | None = None

    @property
    def state(self) -> DiscordState:
        return self.emulator.state

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def member(self) -> DiscordMemberState:
        assert self.guild is not None, f"{self.user.name} is in no guild"
        return self.guild.members[self.user.id]

    @property
    def direct_channel(self) -> DiscordChannelState:
        """Return the direct messages with the bot."""
        return self.state.open_direct_channel(self.user)

    @property
    def private_messages(self) -> list[DiscordMessageState]:
        """Return the ephemeral messages for this person, oldest first."""
        mine = [one for one in self.state.interactions.values() if one.user is self.user]
        return [message for interaction in mine for message in interaction.private_replies]

    def install_app(self) -> None:
        """Install the app for the account: its commands are offered everywhere."""
        self.user.has_installed_the_app = True

    def block_bot(self) -> None:
        self.user.blocks_direct_messages = True

    def leave_guild(self, guild: DiscordGuildState | None = None) -> None:
        guild_left = guild or self.guild
        assert guild_left is not None
        del guild_left.members[self.user.id]
        payload = {"guild_id": str(guild_left.id), "user": user_json(self.user)}
        self.state.announce("GUILD_MEMBER_REMOVE", guild_left, lambda reader: payload)

    def grant_role(self, role: DiscordRoleState, guild: DiscordGuildState | None = None) -> None:
        guild_joined = guild or self.guild
        assert guild_joined is not None
        member = guild_joined.members[self.user.id]
        member.roles.append(role)
        payload = member_json(member) | {"guild_id": str(guild_joined.id)}
        self.state.announce("GUILD_MEMBER_UPDATE", guild_joined, lambda reader: payload)

    # Commands.

    async def use_command(
        self, name: str, options: Mapping[str, Any] | None = None, *, channel: DiscordChannelState | None = None
    ) -> DiscordInteractionState:
        """Type a slash command, `"imagine"` or `"jobs list"`, once registered. Raise `ActionNotAvailable` if not
        offered.
        """
        return await self._use_slash_command(name, options or {}, channel, COMMAND, None)

    async def autocomplete(
        self,
        name: str,
        focused: str,
        typed: str = "",
        options: Mapping[str, Any] | None = None,
        *,
        channel: DiscordChannelState | None = None,
    ) -> DiscordInteractionState:
        """Type into an option of a slash command; `wait_for_choices` of the result gives the choices."""
        given = {**(options or {}), focused: typed}
        return await self._use_slash_command(name, given, channel, AUTOCOMPLETE, focused)

    async def use_message_command(self, name: str, message: DiscordMessageState) -> DiscordInteractionState:
        """Use a command of a message's menu."""
        self._check_visible(message)
        resolved = {"messages": {str(message.id): message_json(message)}}
        return await self._use_menu_command(name, MESSAGE_COMMAND, message.channel, message.id, resolved)

    async def use_user_command(
        self, name: str, person: "DiscordPerson", *, channel: DiscordChannelState | None = None
    ) -> DiscordInteractionState:
        """Use a command of a person's menu."""
        channel = self._check_channel(channel)
        builder = InteractionDataBuilder(self.state, channel)
        builder.resolve(person)
        return await self._use_menu_command(name, USER_COMMAND, channel, person.id, builder.resolved)

    async def _use_slash_command(
        self, name: str, given: Mapping[str, Any], channel: DiscordChannelState | None, kind: int, focused: str | None
    ) -> DiscordInteractionState:
        channel = self._check_channel(channel)
        first, *path = name.split()
        command = await self._find_command(first, 1, channel)
        owners = self._find_installation_owners(command, channel)
        builder = InteractionDataBuilder(self.state, channel)
        data = self._command_data(command)
        data["options"] = fill_nested_options(command, path, given, builder, focused)
        if builder.resolved:
            data["resolved"] = builder.resolved
        return self._send(kind, channel, data, owners)

    async def _use_menu_command(
        self, name: str, kind: int, channel: DiscordChannelState, target: int, resolved: Json
    ) -> DiscordInteractionState:
        command = await self._find_command(name, kind, channel)
        data = self._command_data(command) | {"target_id": str(target), "resolved": resolved}
        return self._send(COMMAND, channel, data, self._find_installation_owners(command, channel))

    async def _find_command(self, name: str, kind: int, channel: DiscordChannelState) -> Json:
        found = await self.state.changes.wait_for(
            lambda: find_command(self.state, channel.guild, name, kind), f"the command {name}", DEFAULT_TIMEOUT_SECONDS
        )
        if found["default_member_permissions"] is not None and channel.guild is not None:
            needed = int(found["default_member_permissions"])
            permissions = channel.guild.members[self.user.id].permissions_in(channel)
            if needed & ~permissions or (needed == 0 and channel.guild.owner is not self.user and not permissions & 8):
                raise ActionNotAvailable(f"{self.user.name} may not use {name}")
        if found["nsfw"] and channel.guild is not None and not channel.is_age_restricted:
            raise ActionNotAvailable(f"{name} is offered in age-restricted channels only")
        return found

    def _command_data(self, command: Json) -> Json:
        data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
        return data | ({"guild_id": command["guild_id"]} if command.get("guild_id") else {})

    def _find_installation_owners(self, command: Json, channel: DiscordChannelState) -> dict[str, str]:
        """Return the installations that offer this command here. Raise `ActionNotAvailable` if there are none."""
        context = get_interaction_context(channel)
        contexts = command["contexts"]
        if contexts is None:
            contexts = [IN_GUILD, IN_PRIVATE_CHANNEL, *([IN_BOT_DIRECT_MESSAGE] if command["dm_permission"] else [])]
        if context not in contexts and command.get("guild_id") is None:
            raise ActionNotAvailable(f"{command['name']} is not offered in {channel.name}")
        owners = {
            kind: owner
            for kind, owner in self._list_installations(channel).items()
            if int(kind) in command["integration_types"]
        }
        if not owners:
            raise ActionNotAvailable(f"{command['name']} is not installed for {channel.name}, nor by {self.user.name}")
        return owners

    def _list_installations(self, channel: DiscordChannelState) -> dict[str, str]:
        owners = {}
        if channel.guild is not None and channel.guild.has_bot:
            owners["0"] = str(channel.guild.id)
        elif channel.kind == DIRECT:
            owners["0"] = "0"
        if self.user.has_installed_the_app:
            owners["1"] = str(self.user.id)
        return owners

    # Components and forms.

    async def press(
        self, message: DiscordMessageState, label: str | None = None, *, custom_id: str | None = None
    ) -> DiscordInteractionState:
        """Press a button by label or custom id. Raise `ActionNotAvailable` if missing or disabled."""
        self._check_visible(message)
        for node in walk_components(message.components):
            if node["type"] == BUTTON and _matches_button(node, label, custom_id):
                if node.get("disabled"):
                    raise ActionNotAvailable(f"the button {label or custom_id} is disabled")
                data: Json = {"custom_id": node["custom_id"], "component_type": BUTTON, "id": node["id"]}
                return self._send(COMPONENT, message.channel, data, self._list_installations(message.channel), message)
        raise ActionNotAvailable(f"there is no button {label or custom_id}, there are {message.button_labels}")

    async def choose(
        self, message: DiscordMessageState, values: Sequence[Any], *, custom_id: str | None = None
    ) -> DiscordInteractionState:
        """Choose from a select menu: values of options, or users, roles, channels."""
        self._check_visible(message)
        for node in walk_components(message.components):
            if node["type"] in SELECTS and custom_id in (None, node["custom_id"]):
                builder = InteractionDataBuilder(self.state, message.channel)
                chosen = list(values)
                if node["type"] == STRING_SELECT:
                    offered = [option["value"] for option in node["options"]]
                    if any(value not in offered for value in chosen):
                        raise ActionNotAvailable(f"the menu offers {offered}")
                else:
                    chosen = [builder.resolve(value) for value in chosen]
                data: Json = {"custom_id": node["custom_id"], "component_type": node["type"], "id": node["id"]}
                data |= {"values": chosen, **({"resolved": builder.resolved} if builder.resolved else {})}
                return self._send(COMPONENT, message.channel, data, self._list_installations(message.channel), message)
        raise ActionNotAvailable("there is no such menu")

    async def submit(
        self, modal: DiscordModalState, values: Mapping[str, Any] | None = None
    ) -> DiscordInteractionState:
        """Submit a form; values by label or custom id, the form's initial values for the other fields."""
        opened = modal.interaction
        if opened.user is not self.user:
            raise ActionNotAvailable(f"{self.user.name} does not see this form")
        data = build_submission(modal, values or {}, InteractionDataBuilder(self.state, opened.channel))
        return self._send(MODAL_SUBMIT, opened.channel, data, opened.installation_owners, opened.source_message)

    # Messages.

    async def say(
        self,
        text: str,
        channel: DiscordChannelState | None = None,
        *,
        reply_to: DiscordMessageState | None = None,
        files: Sequence[DiscordFileUpload] = (),
    ) -> DiscordMessageState:
        """Post into a channel or thread; archived threads reopen. A reply notifies the author.of `reply_to`."""
        channel = self._check_channel(channel or (reply_to.channel if reply_to else None))
        if channel.archived and channel.locked:
            raise ActionNotAvailable(f"{channel.name} is locked")
        draft = DiscordMessageDraft({"content": text}, dict(enumerate(files)))
        if channel.is_thread:
            activate_thread(self.state, channel, self.user)
        kind = 19 if reply_to else 0
        return create_message(self.state, channel, self.user, draft, reference=reply_to, kind=kind)

    async def ask_poll(
        self, question: str, answers: Mapping[str, int], channel: DiscordChannelState | None = None
    ) -> DiscordMessageState:
        """Post a poll; `answers` are the answers with their votes so far."""
        numbered = list(enumerate(answers.items(), 1))
        poll: Json = {
            "question": {"text": question},
            "answers": [{"answer_id": n, "poll_media": {"text": answer}} for n, (answer, _) in numbered],
            "expiry": format_timestamp(self.state.clock.now() + 86_400),
            "allow_multiselect": False,
            "layout_type": 1,
            "results": {
                "is_finalized": False,
                "answer_counts": [{"id": n, "count": votes, "me_voted": False} for n, (_, votes) in numbered],
            },
        }
        draft = DiscordMessageDraft({"poll": poll}, {})
        return create_message(self.state, self._check_channel(channel), self.user, draft, poll=poll)

    async def send_voice_message(
        self, data: bytes, seconds: float, channel: DiscordChannelState | None = None
    ) -> DiscordMessageState:
        """Post a recording as the app on a phone does: without words, with length and waveform."""
        recording = DiscordFileUpload("voice-message.ogg", data, seconds)
        draft = DiscordMessageDraft({}, {0: recording})
        return create_message(self.state, self._check_channel(channel), self.user, draft, flags=VOICE_MESSAGE)

    async def forward(
        self, message: DiscordMessageState, channel: DiscordChannelState | None = None
    ) -> DiscordMessageState:
        """Forward a message into another channel, by default into the direct messages with the bot."""
        self._check_visible(message)
        channel = self._check_channel(channel or self.direct_channel)
        if channel.is_thread:
            activate_thread(self.state, channel, self.user)
        forward = DiscordMessageState(self.state.ids.next(), channel, self.user, self.state.clock.now())
        forward.forwarded, forward.flags = message.forwarded or message, 1 << 14
        publish(self.state, forward)
        return forward

    async def send_direct_message(
        self, text: str, *, reply_to: DiscordMessageState | None = None, files: Sequence[DiscordFileUpload] = ()
    ) -> DiscordMessageState:
        """Post into a channel or thread; an archived thread is unarchived. A reply notifies the author."""
        return await self.say(text, self.direct_channel, reply_to=reply_to, files=files)

    async def edit(self, message: DiscordMessageState, text: str) -> None:
        assert message.author is self.user
        edit_message(self.state, message, DiscordMessageDraft({"content": text}, {}))

    async def delete(self, message: DiscordMessageState) -> None:
        delete_message(self.state, message)

    async def join_thread(self, thread: DiscordChannelState) -> None:
        add_member_to_thread(self.state, thread, self.user)

    async def react(self, message: DiscordMessageState, emoji: str) -> None:
        message.reactions.setdefault(emoji, []).append(self.user)
        guild = message.channel.guild
        payload: Json = {
            "user_id": str(self.user.id),
            "channel_id": str(message.channel.id),
            "message_id": str(message.id),
            "message_author_id": str(message.author.id),
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
            **({"guild_id": str(guild.id)} if guild else {}),
        }
        self.state.announce("MESSAGE_REACTION_ADD", guild, lambda reader: payload)

    async def open_thread(self, name: str, *, on: DiscordMessageState) -> DiscordChannelState:
        return open_thread_on_message(self.state, on, self.user, name, 4320)

    async def open_private_thread(
        self, name: str, *, channel: DiscordChannelState, members: Sequence["DiscordPerson"] = ()
    ) -> DiscordChannelState:
        """Open a thread that this person, the members and the bot alone see."""
        thread = open_thread(self.state, channel, self.user, name, PRIVATE_THREAD, 4320)
        for user in (*(person.user for person in members), self.state.bot):
            add_member_to_thread(self.state, thread, user)
        return thread

    def _check_channel(self, channel: DiscordChannelState | None) -> DiscordChannelState:
        if channel is None:
            assert self.guild is not None, "name a channel"
            channel = self.guild.channels[0]
        is_member = channel.guild is None or self.user.id in channel.guild.members
        if not is_member or (channel.guild is None and self.user not in channel.recipients):
            raise ActionNotAvailable(f"{self.user.name} is not in {channel.name}")
        if channel.kind == PRIVATE_THREAD and self.user not in channel.thread_members:
            raise ActionNotAvailable(f"{self.user.name} is no member of {channel.name}")
        if channel.is_deleted:
            raise ActionNotAvailable(f"{channel.name} is gone")
        return channel

    def _check_visible(self, message: DiscordMessageState) -> None:
        self._check_channel(message.channel)
        if message.is_deleted or (message.visible_to and message.visible_to is not self.user):
            raise ActionNotAvailable(f"{self.user.name} does not see this message")

    def _send(
        self,
        kind: int,
        channel: DiscordChannelState,
        data: Json,
        owners: dict[str, str],
        pressed: DiscordMessageState | None = None,
    ) -> DiscordInteractionState:
        state = self.state
        interaction = DiscordInteractionState(
            state.ids.next(),
            secrets.token_urlsafe(64),
            kind,
            state,
            self.user,
            channel,
            data,
            state.clock.now(),
            get_interaction_context(channel),
            owners,
            pressed,
            get_upload_limit(channel),
            self.emulator.gateway.has_listener(channel.guild),
        )
        state.interactions[interaction.id] = interaction
        state.announce("INTERACTION_CREATE", channel.guild, lambda reader: interaction_json(interaction))
        return interaction


def get_interaction_context(channel: DiscordChannelState) -> int:
    if channel.guild is not None:
        return IN_GUILD
    return IN_PRIVATE_CHANNEL if channel.kind == GROUP else IN_BOT_DIRECT_MESSAGE


def _matches_button(node: Json, label: str | None, custom_id: str | None) -> bool:
    if not node.get("custom_id"):
        # A link opens in the browser: the app receives no interaction.
        return False
    return node["custom_id"] == custom_id if custom_id is not None else node.get("label") == label
