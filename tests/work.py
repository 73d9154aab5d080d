"""Counts the work of a call, the same on every machine: executed bytecodes, and the steps of each regular expression.

The engine of `re` is C code and counts nothing. A matcher here backtracks through the same parsed pattern in the same
order, counts each step, and has to find the same matches as `re`.
"""

import importlib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]  # the parsed form of a pattern has no public name
from types import FrameType
from typing import Any

import pytest

Continue = Callable[[int], int | None]
"""Match the rest of a pattern from a position: return the end of the match, or None."""
_ONE_CHARACTER = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_DEEP = 20_000


class StepCounter:
    """The steps of the calls so far."""

    def __init__(self) -> None:
        self.steps = 0

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Count the bytecodes of each Python function outside this file. A trace function, see `sys.settrace`."""
        if frame.f_code.co_filename == __file__:
            return None
        if event == "call":
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
        elif event == "opcode":
            self.steps += 1
        return self.trace


class Matcher:
    """Matches one parsed pattern in one text, and counts steps."""

    def __init__(self, pattern: re.Pattern[str], text: str, end: int) -> None:
        self._flags = pattern.flags
        self._text = text
        self._end = end
        self._groups: dict[int, tuple[int, int]] = {}
        self.steps = 0

    def match(self, nodes: Any, at: int, then: Continue, n: int = 0) -> int | None:
        """Match a sequence of nodes, from the node `n` on, at a position; then the rest of the pattern."""
        if n == len(nodes.data):
            return then(at)
        self.steps += 1
        node = nodes.data[n]
        kind, argument = node
        if kind in _ONE_CHARACTER:
            return self.match(nodes, at + 1, then, n + 1) if self._is_one(node, at) else None

        def match_rest(position: int) -> int | None:
            return self.match(nodes, position, then, n + 1)

        if kind in _REPEATS:
            return self._repeat(kind, argument, at, match_rest)
        if kind is _constants.BRANCH:
            return self._match_first(argument[1], at, match_rest)
        if kind is _constants.SUBPATTERN:
            return self._match_group(argument[0], argument[3], at, match_rest)
        if kind is _constants.ATOMIC_GROUP:
            end = self.match(argument, at, _stop)
            return None if end is None else match_rest(end)
        if kind in (_constants.ASSERT, _constants.ASSERT_NOT):
            return match_rest(at) if self._is_near(argument, at) is (kind is _constants.ASSERT) else None
        if kind is _constants.AT:
            is_there = _compile_node(node, self._flags).match(self._text, at, self._end)
            return match_rest(at) if is_there else None
        assert kind is _constants.GROUPREF, f"the matcher knows no {kind}"
        return self._match_again(argument, at, match_rest)

    def _is_one(self, node: Any, at: int) -> bool:
        return at < self._end and _is_in(node, self._flags, self._text[at])

    def _match_first(self, branches: Any, at: int, then: Continue) -> int | None:
        for branch in branches:
            if (end := self.match(branch, at, then)) is not None:
                return end
        return None

    def _match_group(self, group: int | None, nodes: Any, at: int, then: Continue) -> int | None:
        def close(position: int) -> int | None:
            if group is not None:
                self._groups[group] = (at, position)
            return then(position)

        return self.match(nodes, at, close)

    def _match_again(self, group: int, at: int, then: Continue) -> int | None:
        start, end = self._groups[group]
        self.steps += end - start
        is_again = self._text.startswith(self._text[start:end], at)
        return then(at + end - start) if is_again else None

    def _is_near(self, assertion: Any, at: int) -> bool:
        direction, nodes = assertion
        start = at if direction > 0 else at - nodes.getwidth()[0]
        return start >= 0 and self.match(nodes, start, _stop) is not None

    def _repeat(self, kind: Any, repeated: Any, at: int, then: Continue) -> int | None:
        fewest, most, nodes = repeated
        if len(nodes.data) != 1 or nodes.data[0][0] not in _ONE_CHARACTER:
            assert kind is _constants.MAX_REPEAT, "the matcher repeats single characters only in this way"
            return self._repeat_sequence(fewest, most, nodes, at, then)
        end = at
        if kind is _constants.MIN_REPEAT:
            while True:
                self.steps += 1
                if end - at >= fewest and (found := then(end)) is not None:
                    return found
                if end - at >= most or not self._is_one(nodes.data[0], end):
                    return None
                end += 1
        while end - at < most and self._is_one(nodes.data[0], end):
            end += 1
        self.steps += end - at
        for position in range(end, at + fewest - 1, -1):
            self.steps += 1
            found = then(position)
            if found is not None or kind is _constants.POSSESSIVE_REPEAT:
                return found
        return None

    def _repeat_sequence(self, fewest: int, most: int, nodes: Any, at: int, then: Continue) -> int | None:
        def repeat(count: int, start: int) -> int | None:
            def again(position: int) -> int | None:
                return None if position == start and count >= fewest else repeat(count + 1, position)

            found = self.match(nodes, start, again) if count < most else None
            return then(start) if found is None and count >= fewest else found

        return repeat(0, at)


def _stop(position: int) -> int:
    return position


@cache
def _compile_text(pattern: str, flags: int) -> Any:
    return _parser.parse(pattern, flags)


_compiled: dict[tuple[int, int], tuple[Any, re.Pattern[str]]] = {}


def _compile_node(node: Any, flags: int) -> re.Pattern[str]:
    # The node is kept: its `id` names no other node then.
    key = (id(node), flags)
    if key not in _compiled:
        state = _parser.State()
        state.flags, state.str = flags, ""
        _compiled[key] = node, _compiler.compile(_parser.SubPattern(state, [node]), flags)
    return _compiled[key][1]


_members: dict[tuple[int, int, str], bool] = {}


def _is_in(node: Any, flags: int, character: str) -> bool:
    key = (id(node), flags, character)
    if key not in _members:
        _members[key] = _compile_node(node, flags).match(character) is not None
    return _members[key]


class CountedPattern:
    """A compiled pattern that counts the steps of each call, and returns the result of `re`."""

    def __init__(self, pattern: re.Pattern[str], work: StepCounter) -> None:
        self._pattern = pattern
        self._work = work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pattern, name)

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        found = self._pattern.match(text, start, end)
        self._count(text, start, end, [found], is_anchored=True)
        return found

    def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        found = self._pattern.fullmatch(text, start, end)
        self._count(text, start, end, [found], is_anchored=True, is_whole=True)
        return found

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        found = self._pattern.search(text, start, end)
        self._count(text, start, end, [found])
        return found

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        return iter(self._find_all(text))

    def findall(self, text: str) -> list[Any]:
        self._find_all(text)
        return self._pattern.findall(text)

    def split(self, text: str, maxsplit: int = 0) -> list[Any]:
        self._find_all(text, maxsplit)
        return self._pattern.split(text, maxsplit)

    def sub(self, new: Any, text: str, count: int = 0) -> str:
        self._find_all(text, count)
        return self._pattern.sub(new, text, count)

    def _find_all(self, text: str, most: int = 0) -> list[re.Match[str]]:
        found = list(self._pattern.finditer(text))[: most or None]
        self._count(text, 0, len(text), [*found, *([] if most and len(found) == most else [None])])
        return found

    def _count(self, text: str, start: int, end: int, expected: list[re.Match[str] | None], **kind: bool) -> None:
        """Search for each expected match behind the one before; None stands for no further match."""
        tracing = sys.gettrace()
        sys.settrace(None)
        matcher = Matcher(self._pattern, text, min(end, len(text)))
        previous: re.Match[str] | None = None
        for match in expected:
            # A match may be empty, but not twice at one place.
            is_stuck = previous is not None and previous.start() == previous.end()
            found = self._search(matcher, previous.end() if previous else start, is_stuck=is_stuck, **kind)
            assert found == (match.span() if match else None), f"{self._pattern.pattern!r} in {text[:40]!r}"
            previous = match
        self._work.steps += matcher.steps
        sys.settrace(tracing)

    def _search(
        self, matcher: Matcher, start: int, *, is_stuck: bool, is_anchored: bool = False, is_whole: bool = False
    ) -> tuple[int, int] | None:
        nodes = _compile_text(self._pattern.pattern, self._pattern.flags)
        for at in range(start, start + 1 if is_anchored else matcher._end + 1):
            matcher.steps += 1

            def stop(position: int, at: int = at) -> int | None:
                is_refused = (is_whole and position < matcher._end) or (is_stuck and position == at == start)
                return None if is_refused else position

            if (end := matcher.match(nodes, at, stop)) is not None:
                return at, end
        return None


def _normalize_counted(work: StepCounter) -> Callable[[Any, str], str]:
    normalize = unicodedata.normalize

    def normalize_counted(form: Any, text: str) -> str:
        # The C code sorts each run of combining marks by exchanges of neighbours.
        seen: dict[int, int] = {}
        for kind in map(unicodedata.combining, text):
            work.steps += 1 + sum(count for other, count in seen.items() if other > kind > 0)
            seen = {**seen, kind: seen.get(kind, 0) + 1} if kind else {}
        return normalize(form, text)

    return normalize_counted


@contextmanager
def counting(*modules: str) -> Iterator[StepCounter]:
    """Count the steps of the regular expressions of modules, of `re`'s functions, and of `unicodedata.normalize`."""
    work = StepCounter()
    compile_pattern = re.compile

    def compile_counted(pattern: Any, flags: int = 0) -> Any:
        return CountedPattern(compile_pattern(pattern, flags), work)

    with pytest.MonkeyPatch.context() as patch:
        for name in modules:
            module = importlib.import_module(name)
            for key, value in vars(module).items():
                if isinstance(value, re.Pattern):
                    patch.setattr(module, key, CountedPattern(value, work))
        for name in ("match", "fullmatch", "search", "findall", "finditer"):
            patch.setattr(re, name, lambda pattern, text, name=name: getattr(compile_counted(pattern), name)(text))
        patch.setattr(re, "compile", compile_counted)
        patch.setattr(re, "split", lambda pattern, text, maxsplit=0: compile_counted(pattern).split(text, maxsplit))
        patch.setattr(re, "sub", lambda pattern, new, text, count=0: compile_counted(pattern).sub(new, text, count))
        patch.setattr(unicodedata, "normalize", _normalize_counted(work))
        yield work


def count_steps(work: StepCounter, function: Callable[[str], object], text: str) -> int:
    """Return the work of one call."""
    before, limit = work.steps, sys.getrecursionlimit()
    sys.setrecursionlimit(_DEEP)
    previous = sys.gettrace()
    sys.settrace(work.trace)
    try:
        function(text)
    finally:
        sys.settrace(previous)
        sys.setrecursionlimit(limit)
    return work.steps - before
