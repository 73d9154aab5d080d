"""Texts for the platforms' tests: around links that readers of Markdown take apart differently, and long answers."""

from hypothesis import strategies as st

LINK = "[bank.example](https://evil.example)"
FRAGMENTS = [
    LINK,
    "[a](\nhttps://evil.example)",
    "[a]( https://evil.example 'b')",
    "[a](<https://evil.example>)",
    "[a](&#104;ttps://evil.example)",
    "[a](https&colon;//evil.example)",
    "[a](https\\://evil.example)",
    "[a][ref]",
    "[ref]",
    "[ref]: https://evil.example",
    "\n[ref]:\nhttps://evil.example\n",
    "![a](https://evil.example)",
    "<https://evil.example|bank",
    "f[0](x, y)",
    "`",
    "``",
    "```",
    "\n```\n",
    "\n```js\n",
    "\n````\n",
    "\n  ```\n",
    "\n    ```\n",
    "\n~~~\n",
    "~~~",
    "\n    ",
    "\n> ",
    "\n>>> ",
    "\n- ",
    "\n1. ",
    "\n# ",
    "\n<div>\n",
    "\\",
    "\\`",
    "[",
    "]",
    "(",
    ")",
    "**",
    "*",
    "_",
    "~~",
    "||",
    "<",
    ">",
    "https://x",
    "a",
    " ",
    "\n",
    "\n\n",
    "\t",
]

markdown_texts = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)

LONG_MARKS = [
    ("> ", "a quoted sentence. ", ""),
    ("**", "bold words ", "end**"),
    ("*", "slanted words ", "end*"),
    ("~~", "struck words ", "end~~"),
    ("`", "words of code ", "end`"),
    ("### ", "words of a heading ", ""),
    ("> **", "bold words of a quote ", "end**"),
    ("> ```py\n> ", "x = 1\n> ", "y\n> ```"),
]
"""Marked words: the beginning, a unit to repeat, and the end."""

TABLE_HEAD = "| no | what |\n|---|---|\n"
TABLE_ROWS = [f"| {n} | {'words ' * 6}|" for n in range(320)]
LONG_TABLE = TABLE_HEAD + "\n".join(TABLE_ROWS)
"""A table of more than 14,000 characters."""
