"""Reads Markdown as Discord's client does, as far as links are concerned: which words lead where.

The rules are those of the client's parser (simple-markdown with Discord's own rules), tried in order at each place.
"""

import re
from dataclasses import dataclass

_INLINE_CODE = re.compile(r"(`+)([\s\S]*?[^`])\1(?!`)")
_CODE_BLOCK = re.compile(r"```(?:([a-z0-9_+\-.#]+?)\n)?\n*([^\n][\s\S]*?)\n*```", re.IGNORECASE)
_ESCAPE = re.compile(r"\\[^0-9A-Za-z\s]")
_AUTOLINK = re.compile(r"<[^: >]+:/[^ >]+>")
_URL = re.compile(r"(?:https?|steam)://[^\s<]+[^<.,:;\"'\]\s]")
_LINK = re.compile(
    r"\[((?:\[[^\]]*\]|[^[\]]|\](?=[^[]*\]))*)\]"
    r"\(\s*<?((?:\([^)]*\)|[^\s\\]|\\.)*?)>?(?:\s+['\"][\s\S]*?['\"])?\s*\)"
)
_PAIRS = (
    re.compile(r"\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)"),
    re.compile(r"__((?:\\[\s\S]|[^\\])+?)__(?!_)"),
    re.compile(r"_((?:\\[\s\S]|[^\\])+?)_(?!\w)"),
    re.compile(r"\*(?=\S)((?:\\[\s\S]|[^\\*])+?)\*(?!\*)"),
    re.compile(r"~~([\s\S]+?)~~(?!_)"),
    re.compile(r"\|\|([\s\S]+?)\|\|"),
)
_QUOTE = re.compile(r" *>>> ([\s\S]*)| *> ([^\n]*)(?:\n|$)")


@dataclass(frozen=True)
class MaskedLink:
    """Words that lead to a target."""

    label: str
    target: str


def find_masked_links(text: str, *, is_line_start: bool = True) -> list[MaskedLink]:
    """Return the links whose label is not the target itself."""
    found: list[MaskedLink] = []
    at = 0
    while at < len(text):
        rest_at_line_start = (is_line_start if at == 0 else text[at - 1] == "\n") and _QUOTE.match(text, at)
        if rest_at_line_start:
            found += find_masked_links(rest_at_line_start[1] or rest_at_line_start[2] or "")
            at = max(rest_at_line_start.end(), at + 1)
            continue
        skipped = next(
            (match for rule in (_CODE_BLOCK, _ESCAPE, _AUTOLINK, _URL) if (match := rule.match(text, at))), None
        )
        if skipped is not None:
            at = skipped.end()
        elif (link := _LINK.match(text, at)) is not None:
            target = re.sub(r"\\(.)", r"\1", link[2])
            if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target) and link[1] != target:
                found.append(MaskedLink(link[1], target))
            at = link.end()
        elif (pair := next((match for rule in _PAIRS if (match := rule.match(text, at))), None)) is not None:
            found += find_masked_links(pair[1], is_line_start=False)
            at = pair.end()
        elif (code := _INLINE_CODE.match(text, at)) is not None:
            at = code.end()
        else:
            at += 1
    return found
