"""Turn plain words into an invocation: a mention, a direct message, or the next message of a conversation."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

from bot.core.errors import BadFile, BadOption, EaselError
from bot.core.file_types import (
    ANY_MEDIA,
    HEAD_BYTES,
    PICTURES,
    RECORDINGS,
    MediaKind,
    detect_file_type,
    is_picture,
    is_text,
)
from bot.core.invocations import Attachment, Conversation, EarlierMessage, FindFile, Invocation, Link
from bot.core.limits import MAX_ATTACHMENT_BYTES
from bot.core.models import Task
from bot.core.people import Channel, Rank, User
from bot.core.replies import MessageRef
from bot.dispatch.declaration import Declaration, OptionKind, OptionValue, Services
from bot.dispatch.forms import read_files
from bot.dispatch.parsing import Menu, ParsedCommand, find_command, find_edit_wish, is_undo, parse_command

DEFAULT_COMMAND = "chat"
UNDO_COMMAND = "undo"
RECIPE_COMMAND = "recipe"
MAX_TEXT_FILE_BYTES = 1_000_000
_PARTS_GAP = "\n\n"
_HEAD_CHARACTERS = 80
"""The words around the text of a file."""

_LEAST_ROOM_CHARACTERS = 200
"""Less of a text file is no answer to a question about the file."""
_LINK_STARTS = ("https://", "http://")
_NAME_WITH_COLON = re.compile(r"([A-Za-z]+)\s*:")
_TEXT_MIMES = ("application/json", "application/xml", "application/yaml", "application/toml", "application/javascript")
_UNKNOWN_MIMES = ("", "application/octet-stream", "binary/octet-stream")
_TEXT_SUFFIXES = (
    *(".c", ".cpp", ".css", ".csv", ".go", ".h", ".html", ".ini", ".java", ".js", ".json", ".log", ".md", ".py"),
    *(".rs", ".sh", ".sql", ".toml", ".ts", ".tsx", ".txt", ".xml", ".yaml", ".yml"),
)

ReadWords = Callable[[], Awaitable[str]]
"""Reads the words of the message replied to; empty without such a message."""


async def invocation_from_text(
    services: Services,
    user: User,
    channel: Channel,
    text: str,
    request_key: str,
    *,
    files: Sequence[Attachment] = (),
    quoted_words: str = "",
    quoted_files: Sequence[Attachment] = (),
    earlier: tuple[EarlierMessage, ...] = (),
    placeholder: MessageRef | None = None,
    name_mentions: Callable[[str], str] = str,
    find_file: FindFile | None = None,
    read_replied: ReadWords | None = None,
    find_replied_job: ReadWords | None = None,
) -> Invocation:
    """Return the invocation of the command at the beginning of the text ("imagine: a fox"), or of /chat.

    Words about a picture ("undo") and a picture with a recipe alone: see `_find_picture_request`; a recording
    becomes /transcribe with a `voice_question`, where the workspace answers voice. The first file of the command's
    kinds goes to the option for files; text files join the words. Quoted are words and files of a forwarded or shared
    message, and the files of the message replied to: the words join those of a chat, the files count where `files` is
    empty, and a picture among them may be left out. `name_mentions` names people and channels in words; options for
    both take ids. `find_file` finds the place's last file, `read_replied` and `find_replied_job` the words and the job
    of the message replied to. Raise a `UserError` for an empty message or a file of another kind.
    """
    is_quoted, files = not files, [await _identify(file, text) for file in files or quoted_files]
    if (found := await _find_picture_request(services, channel, text, files, find_file, find_replied_job)) is not None:
        wished = {name: name_mentions(value) for name, value in found[1].items()}
        return Invocation(user, channel, found[0], request_key, wished, found[2], placeholder=placeholder)
    call = parse_plain_text(text, services.menu, given={file.kind for file in files})
    declaration = find_command(services.menu, call.command).declaration
    fitting = [file for file in files if file.kind in declaration.media]
    options, is_chat = convert_words(declaration, call.options, name_mentions), call.command == DEFAULT_COMMAND
    words, remark = str(options.get("message", "")), ""
    if is_chat and not is_quoted and await _asks_by_voice(services, user, files):
        return _ask_by_voice(user, channel, request_key, files[0], words, placeholder)
    if is_chat:
        words = "\n\n".join(filter(None, (words, quoted_words)))
        if is_quoted and words:
            files, fitting, words = _leave_out_quoted(services, files, fitting, words)
        options["message"], remark = await _append_text_files(words, files, services, declaration)
    else:
        files = await _take_words(declaration, options, files)
        options |= await quote_words(declaration, options, quoted_words, read_replied)
    return Invocation(
        user=user,
        channel=channel,
        command=call.command,
        request_key=request_key,
        options=options,
        # A file of another kind goes to a command too, which says what the file is.
        attachments=declaration.assign_files(fitting if is_chat else fitting or files),
        placeholder=placeholder,
        earlier_messages=earlier,
        drawing_prompt=name_mentions(find_drawing_prompt(text, services.menu)) if is_chat else "",
        find_file=find_file,
        remark=remark,
    )


async def read_given_files(services: Services, declaration: Declaration, invocation: Invocation) -> Invocation:
    """Return the invocation of a command with the words of its files in the option for words, as of a message.

    A picture goes to the option for pictures, and a text is read, whichever of the options holds the file. Raise a
    `UserError` as `invocation_from_text` does.
    """
    option, words = declaration.reading_option, declaration.words_option
    if option is None or words is None:
        return invocation
    names = {name for one in declaration.file_options for name in one.file_names}
    given = {name: file for name, file in invocation.attachments.items() if name in names}
    links = [link for link in read_files(option, invocation) if isinstance(link, Link)]
    if not links and all(name not in option.file_names and _is_claimed_picture(file) for name, file in given.items()):
        return invocation
    opened = [*given.values(), *[await services.media.open_link(link) for link in links]]
    text = str(invocation.options.get(words.name) or "").strip()
    files = [await _identify(file, text) for file in opened]
    message, remark = await _append_text_files(text, files, services, declaration)
    pictures: list[Attachment | Link] = [file for file in files if file.kind is MediaKind.PICTURE]
    pictures += [
        link
        for one in declaration.file_options
        if one is not option
        for link in read_files(one, invocation)
        if isinstance(link, Link)
    ]
    named = declaration.assign_files(pictures)
    return replace(
        invocation,
        options={
            **{name: value for name, value in invocation.options.items() if name not in names},
            words.name: message,
            **{name: file.url for name, file in named.items() if isinstance(file, Link)},
        },
        attachments={
            **{name: file for name, file in invocation.attachments.items() if name not in names},
            **{name: file for name, file in named.items() if isinstance(file, Attachment)},
        },
        remark=" · ".join(filter(None, (invocation.remark, remark))),
    )


def _is_claimed_picture(file: Attachment) -> bool:
    return file.kind is MediaKind.PICTURE and not is_text_file(file)


def _ask_by_voice(
    user: User, channel: Channel, request_key: str, recording: Attachment, words: str, placeholder: MessageRef | None
) -> Invocation:
    """Return the transcription of a recording, whose transcript becomes a question behind the typed words."""
    return Invocation(
        user=user,
        channel=channel,
        command=Task.TRANSCRIBE,
        request_key=request_key,
        attachments={"audio": recording},
        placeholder=placeholder,
        voice_question=words,
    )


async def _asks_by_voice(services: Services, user: User, files: Sequence[Attachment]) -> bool:
    """Return whether the files are one recording, which the workspace takes for a question."""
    if [file.kind for file in files] != [MediaKind.AUDIO]:
        return False
    return (await services.moderation.get_settings(user.platform, user.workspace)).voice != "off"


_OPTIONS_FROM_FILES = {Task.IMAGINE: "prompt", Task.SPEAK: "text"}


async def _take_words(
    declaration: Declaration, options: dict[str, OptionValue], files: Sequence[Attachment]
) -> list[Attachment]:
    """Add text files to the prompt of /imagine, where each line is a prompt, or to the text of /speak.

    Return the other files.
    """
    name = _OPTIONS_FROM_FILES.get(declaration.task) if declaration.task is not None else None
    texts = [file for file in files if is_text_file(file)] if name is not None else []
    if name is not None and texts:
        typed = str(options.get(name, ""))
        options[name] = "\n".join(filter(None, [typed, *[await _read_text(file) for file in texts]]))
    return [file for file in files if file not in texts]


async def quote_words(
    declaration: Declaration, options: Mapping[str, OptionValue], quoted_words: str, read_replied: ReadWords | None
) -> dict[str, OptionValue]:
    """Return the option that was left out with the words of another message, where the command takes such words."""
    option = next((option for option in declaration.options if option.quotes and option.name not in options), None)
    if option is None:
        return {}
    words = quoted_words or (await read_replied() if read_replied is not None else "")
    return {option.name: words} if words else {}


def _leave_out_quoted(
    services: Services, files: Sequence[Attachment], pictures: list[Attachment], words: str
) -> tuple[list[Attachment], list[Attachment], str]:
    """Return the files and pictures of another message that a chat can take, and the words with a note on the rest.

    A question about the words of another message can be answered all the same; the note lets the answer say so.
    """
    if unheard := [file for file in files if file.kind in RECORDINGS]:
        words += f"\n\n(A {unheard[0].kind.noun} belongs to this, which you cannot hear: {unheard[0].name})"
    if pictures and not _can_see(services):
        words += f"\n\n(A picture belongs to this, which you cannot see: {pictures[0].name})"
        pictures = []
    return [file for file in files if file not in unheard], pictures, words


def convert_words(
    declaration: Declaration, options: Mapping[str, OptionValue], convert: Callable[[str], str]
) -> dict[str, OptionValue]:
    """Return the options with converted values of text options; the ids of people and channels stay."""
    texts = {option.name for option in declaration.options if option.kind is OptionKind.TEXT}
    return {
        name: convert(value) if name in texts and isinstance(value, str) else value for name, value in options.items()
    }


def parse_plain_text(text: str, menu: Menu, *, given: Collection[MediaKind] = ()) -> ParsedCommand:
    """Return the command at the beginning of the text if the text cannot be prose, else /chat.

    A slash, an option, a colon after the name (`imagine: a fox`), or a file of the command's kinds with the text shows
    the intention. `given` are the kinds of the files with the text.
    """
    text = text.strip()
    # A slash shows the intention: report a mistake instead of asking a model about "/imagin a fox".
    if text.startswith("/"):
        return parse_command(text, menu)
    if is_undo(text):
        return ParsedCommand(UNDO_COMMAND, {})
    return _parse_certain_command(text, menu, given) or ParsedCommand(DEFAULT_COMMAND, {"message": text})


def find_drawing_prompt(text: str, menu: Menu) -> str:
    """Return the prompt of a text that begins as a request for a picture does, though the text may be prose, or ""."""
    name, _, prompt = text.strip().partition(" ")
    form = next((form for form in menu if form.declaration.name == name.lower()), None)
    words = form.declaration.words_option if form is not None and form.declaration.task is Task.IMAGINE else None
    is_fitting = words is not None and len(prompt.strip()) <= (words.max_length or 0)
    return prompt.strip() if is_fitting else ""


def _parse_certain_command(text: str, menu: Menu, given: Collection[MediaKind]) -> ParsedCommand | None:
    colon = _NAME_WITH_COLON.match(text)
    try:
        call = parse_command(f"{colon[1]} {text[colon.end() :]}" if colon else text, menu)
    except EaselError:
        return None
    declaration = find_command(menu, call.command).declaration
    # "words add meaning to a picture" would change the workspace: commands of moderators need the slash.
    if declaration.rank is not Rank.USER:
        return None
    if declaration.task is None:
        # "usage" and "usage --period today" are commands, "show me the way" is talk.
        is_certain = colon is None and set(call.options) == call.named_options
    elif call.command == DEFAULT_COMMAND:
        is_certain = colon is not None or bool(call.named_options)
    else:
        file = declaration.file_option
        has_file = file is not None and (
            any(kind in declaration.media for kind in given)
            or str(call.options.get(file.name, "")).startswith(_LINK_STARTS)
        )
        is_certain = colon is not None or bool(call.named_options) or has_file or not call.options
    return call if is_certain else None


def _check_length(message: str, files: Sequence[Attachment], declaration: Declaration) -> None:
    """Raise `BadFile` with the names of the text files that make a message too long."""
    words = declaration.words_option
    names = [file.name for file in files if is_text_file(file)]
    if names and words is not None and words.max_length is not None and len(message) > words.max_length:
        raise BadFile(
            f"{' and '.join(names)} and your words have {len(message):,} characters together: a message takes at most "
            f"{words.max_length:,}, so nothing was sent. Cut the file, or send a part of it."
        )


async def _find_picture_request(
    services: Services,
    channel: Channel,
    text: str,
    files: Sequence[Attachment],
    find_file: FindFile | None,
    find_replied_job: ReadWords | None,
) -> tuple[str, dict[str, str], dict[str, Attachment]] | None:
    """Return command, options and pictures of words that ask for a change of a picture or take one back.

    A picture without words whose file tells how it was made becomes /recipe.
    The picture comes with the words, is in the message replied to, or is the thread's last. Return None for talk.
    """
    if is_undo(text):
        job = await find_replied_job() if find_replied_job is not None else ""
        return UNDO_COMMAND, {"job": job} if job else {}, {}
    is_picture_alone = not text.strip() and [file.kind for file in files] == [MediaKind.PICTURE]
    if is_picture_alone and (await services.media.read_recipe(files[0]))[1] is not None:
        return RECIPE_COMMAND, {}, {"image": files[0]}
    wish = find_edit_wish(text)
    if wish is None or not services.catalogue.list_for_task(Task.EDIT):
        return None
    pictures = [file for file in files if file.kind is MediaKind.PICTURE]
    if not files and channel.thread and find_file is not None and (found := await find_file(PICTURES)) is not None:
        pictures = [found]
    if wish.n > len(pictures):
        return None
    options = {"prompt": wish.prompt, "aspect": wish.aspect}
    return Task.EDIT, {name: value for name, value in options.items() if value}, {"image": pictures[wish.n - 1]}


def _can_see(services: Services) -> bool:
    """Return whether a chat model sees pictures, or a caption model describes pictures for the chat model."""
    models = services.catalogue.list_for_task
    return any("image" in model.inputs for model in (*models(Task.CHAT), *models(Task.CAPTION)))


def guess_kinds(files: Sequence[Attachment]) -> set[MediaKind]:
    """Return the kinds that the files may have, by the platform's MIME types: any, where a type is unknown."""
    return set(ANY_MEDIA) if any(map(_has_unknown_type, files)) else {file.kind for file in files}


def _has_unknown_type(file: Attachment) -> bool:
    return file.mime.partition(";")[0].strip() in _UNKNOWN_MIMES and not is_text_file(file)


async def _identify(file: Attachment, text: str) -> Attachment:
    """Return a file that the platform does not know with the kind that the bytes tell.

    A picture without words is in memory: its recipe is read before the picture.
    """
    is_picture_alone = file.kind is MediaKind.PICTURE and not text.strip()
    if not (_has_unknown_type(file) or is_picture_alone) or file.size_bytes > MAX_ATTACHMENT_BYTES:
        return file
    data = await file.read()

    async def read() -> bytes:
        return data

    return Attachment(file.name, _detect_mime(data) or file.mime, len(data), read)


def _detect_mime(data: bytes) -> str:
    """Return the type of a file that the bytes tell, `image/*` for any picture; empty for a type that is not read."""
    if is_picture(data):
        return "image/*"
    if (file_type := detect_file_type(data[:HEAD_BYTES])) is not None:
        return file_type.mime
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    # Code in a language whose ending the platform does not know, a file without an ending.
    return "text/plain" if is_text(data) else ""


def may_continue_conversation(conversation: Conversation, user: User, join: str) -> bool:
    """Return whether the workspace's setting `join` lets a user continue a conversation."""
    return join != "starter" or conversation.starter == user.author


async def _append_text_files(
    text: str, files: Sequence[Attachment], services: Services, declaration: Declaration
) -> tuple[str, str]:
    """Return the text with the words of text files and PDFs, and the remark on pages and lines that did not fit.

    Text files share the room that a message has left, in equal parts; a part that a file does not need is for the next.

    Raise `BadFile` for a file that is neither, and for words beyond the length of the command's option.
    """
    parts, remarks = [text] if text else [], []
    option = declaration.words_option
    most_characters = option.max_length if option is not None and option.max_length is not None else 0
    # PDFs have a bound of their own, and pages that cannot be cut.
    for n, file in enumerate(ordered := sorted(files, key=is_text_file)):
        if is_text_file(file):
            room = most_characters - sum(len(part) + len(_PARTS_GAP) for part in parts)
            share = room // sum(map(is_text_file, ordered[n:])) - _HEAD_CHARACTERS - len(file.name)
            words, left_out = _cut_lines(await _read_text(file), share)
            head = f"{file.name}, {left_out}" if left_out else file.name
            parts.append(_quote_file(head, words))
            remarks += [f"read of {head}"] if left_out else []
        elif _is_pdf(file):
            found = await services.media.read_pdf(file)
            head = f"{file.name}, {found.left_out}" if found.left_out else file.name
            parts.append(_quote_file(head, found.text))
            remarks += [f"read of {head}"] if found.left_out else []
        elif file.kind is not MediaKind.PICTURE:
            advice = _advise(file, services.menu)
            raise BadFile(f"I cannot read {file.name}: I read pictures, PDFs and text files.{advice}")
    if not parts and files:
        return "What does this picture show?", ""
    if not parts:
        raise BadOption("You did not say anything. What would you like to know?", option="message")
    message = _PARTS_GAP.join(parts)
    _check_length(message, files, declaration)
    return message, " · ".join(remarks)


def _quote_file(head: str, words: str) -> str:
    """Return a file's words in a fence that no fence among the words ends."""
    fence = "```"
    while fence in words:
        fence += "`"
    return f"{head}:\n{fence}\n{words}\n{fence}"


def _cut_lines(text: str, most_characters: int) -> tuple[str, str]:
    """Return the first whole lines that fit, or the beginning of the first, and what is there of a longer text."""
    if len(text) <= most_characters or most_characters < _LEAST_ROOM_CHARACTERS:
        return text, ""  # without room the whole message is refused
    lines = text.count("\n") + 1
    kept = text[: most_characters + 1].rpartition("\n")[0].rstrip()
    if not kept:
        return text[:most_characters], f"the beginning of line 1 of {lines:,}"
    return kept, f"lines 1 to {kept.count(chr(10)) + 1:,} of {lines:,}"


def _is_pdf(file: Attachment) -> bool:
    return file.mime.partition(";")[0].strip() == "application/pdf" or file.name.lower().endswith(".pdf")


def _advise(file: Attachment, menu: Menu) -> str:
    """Return a sentence with the first command that takes a file of that kind; empty without such a command."""
    takers = [
        form.declaration for form in menu if form.declaration.task is not None and file.kind in form.declaration.media
    ]
    # A command about such files before a command that takes one beside its words.
    takers.sort(key=lambda found: found.file_option is None or not found.file_option.is_required)
    taker = next(iter(takers), None)
    return f" /{taker.name} takes a {file.kind.noun}." if taker is not None and file.kind in RECORDINGS else ""


def is_text_file(file: Attachment) -> bool:
    """Return whether a file is text, by its name and the platform's MIME type."""
    mime = file.mime.partition(";")[0].strip()
    return mime.startswith("text/") or mime in _TEXT_MIMES or file.name.lower().endswith(_TEXT_SUFFIXES)


async def _read_text(file: Attachment) -> str:
    if file.size_bytes > MAX_TEXT_FILE_BYTES:
        raise BadFile(f"{file.name} is too long: I read text files of up to {MAX_TEXT_FILE_BYTES // 1_000_000} MB.")
    data = await file.read()
    try:
        # The size above is the platform's claim: cut a longer file. "utf-8-sig" drops the byte order mark of Windows.
        text = data[:MAX_TEXT_FILE_BYTES].decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadFile(f"{file.name} is not written in UTF-8, so I cannot read it.") from error
    if "\0" in text:
        raise BadFile(f"{file.name} holds no text, whatever its name says. Send a text file or a PDF.")
    if not text:
        raise BadFile(f"{file.name} is empty. Send a file with words in it.")
    return text
