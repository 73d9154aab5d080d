"""Links in a model's words: Discord hides an address behind any words, so they are taken apart and both are seen."""

import re

# What Discord shows as it is written: a closed fence, and a run of backticks closed by an equal one.
_CODE = re.compile(r"```.+?```|(?<!`)(`{1,2})(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
# "](" before an address; the closing bracket may follow nested ones.
_MASKED = re.compile(r"\](?=\(\s*<?\s*[A-Za-z][A-Za-z0-9+.-]*:)")


def unmask_links(text: str) -> str:
    """The text with every `[words](address)` outside code as `[words] (address)`, one character longer each."""
    if "](" not in text:
        return text
    parts, at = [], 0
    for code in _CODE.finditer(text):
        parts += [_MASKED.sub("] ", text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, _MASKED.sub("] ", text[at:])])
