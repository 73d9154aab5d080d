"""Converts text for Slack and from Slack: escapes, mentions, and links.

Text of a model must notify no user: Slack turns `<!channel>` and `<@U…>` into mentions also in Markdown, so a
zero-width space breaks each mention.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import unquote

_BROADCASTS = ("<!here", "<!channel", "<!everyone", "<!subteam^", "<!date^")
_ID_PREFIXES = ("<@", "<#")
# Slack turns such text into a mention, in Markdown as in mrkdwn.
_MENTION = re.compile(r"<(?=!(?:here|channel|everyone|subteam\^|date\^)|@[UWB][A-Z0-9]|#[CGD][A-Z0-9])", re.IGNORECASE)
_BROADCAST = re.compile(r"<(?=!(?:here|channel|everyone|date\^))", re.IGNORECASE)
# An address hidden behind a label: in mrkdwn, and in Markdown.
_LABELLED_LINK = re.compile(r"(<[a-z][a-z0-9+.-]*:[^<>|\s]*)\|([^<>\r\n]*)(>?)", re.IGNORECASE)
_LONGEST_HARMLESS_TARGET = 24
# A target without these characters leads nowhere, as in the call `f[0](x, y)`. Longer targets are not judged.
_HARMLESS = rf"[^\s):&<(\\./]{{0,{_LONGEST_HARMLESS_TARGET - 1}}}"
_MASKED_LINK = re.compile(rf"\](?=\((?:[^!-~]|{_HARMLESS}[:&<(\\./]|[^\s)]{{{_LONGEST_HARMLESS_TARGET}}}))")
_UNDECIDED_LINK = re.compile(rf"\]\({_HARMLESS}\Z")
# Markdown puts the target of `[words][name]` anywhere in the text, as `[name]: address`.
_LINK_DEFINITION = re.compile(r"\](?=:)")
_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_FENCE_LINE = re.compile(r"```[^`~\r\n]*(?=[\r\n]|\Z)")
_CLOSING_LINE = re.compile(r"```[ \t]*(?=[\r\n]|\Z)")
_UNTIL_FENCE = re.compile(r"(?:(?!```|~~~).)*", re.DOTALL)
_HTML = re.compile(r"\s*<[A-Za-z/!?]")
_PARTIAL_MENTIONS = frozenset(word[:n] for word in _BROADCASTS for n in range(1, len(word))) | frozenset(_ID_PREFIXES)
_LONGEST_PARTIAL_MENTION = max(map(len, _PARTIAL_MENTIONS)) + 1
_BROKEN_BRACKET = "<\u200b"
_LAST_WORD = re.compile(r"[!-~]*$")
_LONGEST_LAST_WORD = 40

# No class takes "<": Slack escapes the character in text, and so each search ends at the next link.
_LINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:[^|<>\s]*)(?:\|([^<>]*))?>")
_USER = re.compile(r"<@([UWB][A-Z0-9]+)(?:\|([^<>]*))?>")
_CHANNEL = re.compile(r"<#([CGD][A-Z0-9]+)(?:\|([^<>]*))?>")
_ESCAPED_LINK = re.compile(r"&lt;([@#][UWBCGD][A-Z0-9]+)&gt;")
_BROADCAST_TOKEN = re.compile(r"<!(here|channel|everyone)(?:\|[^<>]*)?>")
_GROUP = re.compile(r"<!subteam\^([A-Z0-9]+)(?:\|@?([^<>]*))?>")
# A time, a format, perhaps a link, and the text for clients that cannot show the date.
_DATE = re.compile(r"<!date\^(-?\d{1,11})\^[^<>|]*(?:\|([^<>]*))?>")
# What an auto-link leaves out of the shown text, or writes in another way.
_SCHEME, _PUNYCODE = re.compile(r"^(?:[a-z][a-z0-9+.-]*://|mailto:)"), re.compile(r"xn--[a-z0-9-]+")
_PHONE_NUMBER = re.compile(r"(?:tel:)?[+\d(][\d ()./-]*", re.IGNORECASE)
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))


def neutralize_mentions(text: str) -> str:
    """Return the text with broken mentions and visible addresses.

    The result for a longer text starts with the result for its beginning, so a stream can append the rest.
    """
    return _MENTION.sub(_BROKEN_BRACKET, reveal_links(text))


def reveal_links(text: str) -> str:
    """Return the text with every address visible: `[label] (address)`, and `<address|label>` as `<address> (label)`.

    Only a code block that every reading of Markdown takes for a code block keeps links of Markdown. Text appended later
    must not change what is shown: a code span may never be closed, so links in a code span are changed too.
    """
    if not ("<" in text or "](" in text or "]:" in text):
        return text
    shown: list[str] = []
    is_code, is_certain = False, True
    for line in _LINES.findall(text):
        code = line if is_code and is_certain else ""
        if (_CLOSING_LINE if is_code else _FENCE_LINE).match(line):
            is_code = not is_code
        elif "```" in line or "~~~" in line or (not is_code and _HTML.match(line)):
            # Code in some readings of Markdown only: from there on no text is certain to be code.
            is_certain = False
            code = _UNTIL_FENCE.match(code)[0]  # type: ignore[index] # matches every text
        # Slack documents `<address|label>` without an exception for code.
        shown += [_LABELLED_LINK.sub(_show_address_and_label, code), _reveal_links_of_line(line[len(code) :])]
    return "".join(shown)


def _reveal_links_of_line(line: str) -> str:
    line = _LINK_DEFINITION.sub("] ", _LABELLED_LINK.sub(_show_address_and_label, line))
    return _MASKED_LINK.sub("] ", line)


def _show_address_and_label(link: re.Match[str]) -> str:
    """Return a link to the address, and the label behind. The address comes first: it may have been shown already."""
    return f"{link[1]}> ({link[2]}{')' if link[3] else ''}" if link[2].strip() else f"{link[1]}>{link[2]}"


def neutralize_broadcasts(text: str) -> str:
    """Return the text with mentions of whole channels broken and links to users, groups and channels kept."""
    return _BROADCAST.sub(_BROKEN_BRACKET, reveal_links(text))


def cut_unstable_end(text: str) -> str:
    """Return the part of a growing text with a stable rendering; the last word waits for the text after it.

    Slack may drop white space at the head of an appended text, so the rest must begin with a visible character. The
    end may also be half of a mention, which neutralizing does not recognize yet.
    """
    body = text.rstrip()
    last_word = len(_LAST_WORD.search(body[-_LONGEST_LAST_WORD - 1 :])[0])  # type: ignore[index] # always matches
    body = body[: -last_word if 0 < last_word <= _LONGEST_LAST_WORD else -1]
    if (link := _UNDECIDED_LINK.search(body, max(0, len(body) - _LONGEST_HARMLESS_TARGET - 2))) is not None:
        body = body[: link.start() + 1]
    at = body.rfind("<", max(0, len(body) - _LONGEST_PARTIAL_MENTION))
    if at < 0:
        return body
    end = body[at:].lower()
    is_partial = end in _PARTIAL_MENTIONS or (len(end) == 3 and end[:2] in _ID_PREFIXES and end[2].isalpha())
    return body[:at] if is_partial else body


def escape(text: str) -> str:
    """Escape plain text for mrkdwn: the three characters of docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def restore_links(text: str) -> str:
    """Return escaped text with its links to users and channels restored, for ephemeral messages."""
    return _ESCAPED_LINK.sub(r"<\1>", text)


def unescape(text: str) -> str:
    """Return the text as typed: links as typed, broadcasts and dates as words; mentions of users and channels stay."""
    text = _LINK.sub(lambda match: _format_typed_link(match[1], match[2] or ""), text)
    text = _BROADCAST_TOKEN.sub(r"@\1", text)
    text = _DATE.sub(lambda match: match[2] or _format_date(int(match[1])), text)
    return _unescape_entities(text)


def _unescape_entities(text: str) -> str:
    # Slack escapes these three characters and no others: "&copy=1" in an address is no entity.
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)


def _format_typed_link(address: str, label: str) -> str:
    """Return the words that Slack made a link of; for a link behind other words, the words and the address."""
    if not label:
        return address
    return label if _reduce_link(label) == _reduce_link(address) else f"{label} ({address})"


def _reduce_link(link: str) -> str:
    """Return a form shared by an address and the typed text from which Slack made the address."""
    text = unquote(_unescape_entities(link.strip()))
    if _PHONE_NUMBER.fullmatch(text):
        return re.sub(r"\D", "", text)
    return _PUNYCODE.sub(_decode_host, _SCHEME.sub("", text.lower())).rstrip("/")


def _decode_host(match: re.Match[str]) -> str:
    try:
        return match[0].encode().decode("idna")
    except UnicodeError:
        return match[0]


def _format_date(epoch_seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(epoch_seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "a date"


def find_mentions(text: str) -> list[str]:
    """Return the ids of the users that a text mentions."""
    return [match[1] for match in _USER.finditer(text)]


def find_labels(text: str) -> dict[str, str]:
    """Return the ids of users, groups and channels in a text, each with the label that Slack wrote, perhaps ""."""
    matches = (match for pattern in (_USER, _GROUP, _CHANNEL) for match in pattern.finditer(text))
    return {match[1]: match[2] or "" for match in matches}


def replace_mentions(text: str, names: Mapping[str, str]) -> str:
    """Return the text with mentions of users, groups and channels replaced by names, which `names` maps by id.

    A mention without a name and a label stays: a person typed the signs.
    """

    def format_name(sign: str, match: re.Match[str]) -> str:
        name = names.get(match[1]) or match[2]
        return f"{sign}{name}" if name else match[0]

    text = _USER.sub(lambda match: format_name("@", match), text)
    text = _GROUP.sub(lambda match: format_name("@", match), text)
    return _CHANNEL.sub(lambda match: format_name("#", match), text)


def remove_mention(text: str, user: str) -> str:
    """Return the text without the mentions of one user."""
    return re.sub(rf"<@{re.escape(user)}(?:\|[^<>]*)?>[,:]?[ \t]*", "", text).strip()


def truncate(text: str, max_length: int) -> str:
    """Return at most `max_length` characters, with an ellipsis if the text is cut."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


def truncate_bytes(text: str, max_bytes: int) -> str:
    """Return at most `max_bytes` UTF-8 bytes, with an ellipsis if the text is cut."""
    data = text.encode()
    return text if len(data) <= max_bytes else data[: max_bytes - 3].decode(errors="ignore") + "…"
