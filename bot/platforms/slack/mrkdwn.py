"""Converts text for Slack and from Slack: escapes, mentions, and links.

Text of a model must notify no user: Slack turns `<!channel>` and `<@U…>` into mentions also in Markdown, so a
zero-width space breaks each mention.
"""

import html
import re

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
_LINK = re.compile(r"<((?:https?|mailto|ftp)[^|<>\s]*)(?:\|([^<>]*))?>")
_USER = re.compile(r"<@([UWB][A-Z0-9]+)(?:\|([^<>]*))?>")
_CHANNEL = re.compile(r"<#([CGD][A-Z0-9]+)(?:\|([^<>]*))?>")
_ESCAPED_LINK = re.compile(r"&lt;([@#][UWBCGD][A-Z0-9]+)&gt;")
_BROADCAST_TOKEN = re.compile(r"<!(here|channel|everyone)(?:\|[^<>]*)?>")
_GROUP = re.compile(r"<!subteam\^([A-Z0-9]+)(?:\|@?([^<>]*))?>")


def neutralize_mentions(text: str) -> str:
    """Return the text with broken mentions and visible addresses.

    The result for a longer text starts with the result for its beginning, so a stream can append the rest.
    """
    return _MENTION.sub(_BROKEN_BRACKET, reveal_links(text))


def reveal_links(text: str) -> str:
    """Return the text with every address visible: `[label] (address)`, and `<address|label>` as `<address> (label)`.

    Only a code block that every reading of Markdown takes for a code block stays as it is. Text appended later must not
    change what is shown: a code span may never be closed, so links in a code span are changed too.
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
        shown += [code, _reveal_links_of_line(line[len(code) :])]
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
    """Return the text as typed: links as addresses, broadcasts as words; mentions of users and channels stay."""
    text = _LINK.sub(lambda match: match[1], text)
    text = _BROADCAST_TOKEN.sub(r"@\1", text)
    return html.unescape(text) if "&" in text else text


def find_mentions(text: str) -> list[str]:
    """Return the ids of the users that a text mentions."""
    return [match[1] for match in _USER.finditer(text)]


def replace_mentions(text: str, names: dict[str, str]) -> str:
    """Return the text with mentions replaced by names; `names` maps user ids to names."""
    text = _USER.sub(lambda match: f"@{match[2] or names.get(match[1], match[1])}", text)
    text = _GROUP.sub(lambda match: f"@{match[2] or match[1]}", text)
    return _CHANNEL.sub(lambda match: f"#{match[2] or match[1]}", text)


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
