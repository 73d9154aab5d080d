"""The guide: finds the passage of the docs that answers a question. Retrieval, not a language model."""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"^#{1,4}\s+(.+?)\s*#*$")
_WORD = re.compile(r"[^\W_]{2,}")
_LINE_START = re.compile(r"\s*(?:[-*+>] |\||\d+[.)] )")
"""The beginning of a line of a list, quotation or table; any other line goes on with the line above."""
_STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """a about am an and any are as at be but by can could did do does for from give get had has have how i if in is
        it its let like make me my of on or please say should show so some tell than that the their them then there
        these they this to use using was we what when where which who why will with would write you your""",
    )
)
_GREETINGS = frozenset(
    re.findall(r"\w+", "hello hi hey hallo moin hola bonjour servus thanks thank good morning evening day")
)
_PASSAGE_CHARACTERS = 1200
_TOPICS = (
    "connecting Discord or Slack, Replicate tokens and models, credits and budgets, moderation, running it on a server"
)


@dataclass(frozen=True)
class GuideSection:
    """One heading of a Markdown file with the text below the heading. `source` is the file's name."""

    source: str
    heading: str
    text: str


class Guide:
    """Answers from `docs`, read at the first question. Not safe for two threads at once."""

    def __init__(self, docs: Sequence[Path]) -> None:
        self._docs = tuple(docs)
        self._sections: list[GuideSection] | None = None
        self._index: sqlite3.Connection | None = None

    def answer(self, question: str) -> str:
        """Return Markdown: the best passage with its place, or a list of topics. Each answer names the guide."""
        words = [word.lower() for word in _WORD.findall(question)]
        if not words or set(words) <= _GREETINGS | _STOPWORDS:
            return f"Hello! {self._suggest_questions()}"
        terms = [word for word in words if word not in _STOPWORDS and word not in _GREETINGS]
        found = self._search(terms)
        if not found:
            return f"{self._suggest_questions()} About your question they say nothing that I could find."
        return _quote(found[0], found[1:3])

    def close(self) -> None:
        if self._index:
            self._index.close()
        self._sections = self._index = None

    def _suggest_questions(self) -> str:
        return (
            f"I am the sandbox's guide, not a language model: I look things up in this bot's own docs. Ask me about "
            f"{_TOPICS}. With a Replicate token, a real model answers here instead."
        )

    def _search(self, terms: Sequence[str]) -> list[GuideSection]:
        sections = self._read()
        # One matching word of three in a long page is chance: longer questions need more agreement.
        needed = 1 if len(terms) < 4 else 2
        candidates = self._search_index(terms, sections) if self._index else _search_without_index(terms, sections)
        return [section for section in candidates if _count_shared_terms(terms, section) >= needed][:3]

    def _search_index(self, terms: Sequence[str], sections: Sequence[GuideSection]) -> list[GuideSection]:
        if self._index is None:
            return []
        query = " OR ".join(f'"{term}"' for term in terms)
        statement = "SELECT rowid FROM sections WHERE sections MATCH ? ORDER BY bm25(sections, 2.0, 8.0, 1.0) LIMIT 8"
        return [sections[rowid - 1] for (rowid,) in self._index.execute(statement, (query,))]

    def _read(self) -> list[GuideSection]:
        if self._sections is None:
            self._sections = [section for path in self._docs if path.is_file() for section in read_sections(path)]
            self._index = _build_index(self._sections)
        return self._sections


def read_sections(path: Path) -> list[GuideSection]:
    """Return the sections of one Markdown file in order; a `#` inside a code block is no heading."""
    sections, heading, lines, in_code = list[GuideSection](), path.stem, list[str](), False
    for line in [*path.read_text(encoding="utf-8").splitlines(), "# end"]:
        in_code ^= line.lstrip().startswith("```")
        match = None if in_code else _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        if text := "\n".join(lines).strip():
            sections.append(GuideSection(path.name, heading, text))
        heading, lines = match[1], []
    return sections


def extract_passage(text: str, limit: int = _PASSAGE_CHARACTERS) -> str:
    """Return the first whole blocks (paragraphs, code, tables) of a section, about `limit` characters."""
    kept, size = list[str](), 0
    for block in _split_blocks(text):
        if kept and size + len(block) > limit:
            break
        kept.append(block)
        size += len(block)
    return "\n\n".join(kept)


def _split_blocks(text: str) -> list[str]:
    """Return paragraphs; a code block with blank lines stays one block."""
    blocks, lines, in_code = list[str](), list[str](), False
    for line in [*text.splitlines(), ""]:
        in_code ^= line.lstrip().startswith("```")
        if line.strip() or in_code:
            lines.append(line)
        elif lines:
            blocks.append(_join_wrapped_lines(lines))
            lines = []
    return [*blocks, "\n".join(lines)] if lines else blocks


def _join_wrapped_lines(lines: Sequence[str]) -> str:
    """Return a block with one line for each paragraph and list item: chat platforms show each line break."""
    if any(line.lstrip().startswith("```") for line in lines):
        return "\n".join(lines)
    joined = list[str]()
    for line in lines:
        if joined and not _LINE_START.match(line):
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _quote(best: GuideSection, others: Iterable[GuideSection]) -> str:
    also = ", ".join(f"“{other.heading}” ({other.source})" for other in others if other != best)
    more = f"\n\nSee also {also}." if also else ""
    # The guide's name comes first: max_tokens can cut the end of an answer.
    opening = f"The sandbox's guide (not a language model) found this in **{best.source}**, “{best.heading}”:"
    return f"{opening}\n\n{extract_passage(best.text)}{more}"


def _build_index(sections: Sequence[GuideSection]) -> sqlite3.Connection | None:
    """Build a full-text index in memory; None where SQLite has no FTS5."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        connection.execute(
            "CREATE VIRTUAL TABLE sections USING fts5(source, heading, text, tokenize='porter unicode61')"
        )
    except sqlite3.OperationalError:
        connection.close()
        return None
    rows = [(section.source, section.heading, section.text) for section in sections]
    connection.executemany("INSERT INTO sections VALUES (?, ?, ?)", rows)
    return connection


def _search_without_index(terms: Sequence[str], sections: Sequence[GuideSection]) -> list[GuideSection]:
    """Rank sections by occurrences of the terms' stems; a heading counts five times."""

    def score(section: GuideSection) -> float:
        text, heading = section.text.lower(), section.heading.lower()
        hits = sum(min(text.count(_stem(term)), 5) + 5 * heading.count(_stem(term)) for term in terms)
        return hits / (1 + len(text) / 4000)

    return [section for section in sorted(sections, key=score, reverse=True)[:8] if score(section) > 0]


def _count_shared_terms(terms: Sequence[str], section: GuideSection) -> int:
    text = f"{section.source} {section.heading} {section.text}".lower()
    return sum(_stem(term) in text for term in terms)


def _stem(term: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if term.endswith(ending) and len(term) - len(ending) >= 4:
            return term.removesuffix(ending)
    return term
