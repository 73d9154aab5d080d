"""A scripted speaker with known tokens at known times, and the readings of the text on the screen."""

import asyncio
import re
import statistics
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from bot.core.backend import PredictionState, RunEnded, RunEvent, RunPending, RunStarted, TextDelta
from bot.core.clock import Clock
from bot.core.models import Model
from tests.fakes.backend import RunScript, ScriptedBackend

FIRST_TOKEN_SECONDS = 0.4
"""Seconds until the first token of a warm model on Replicate."""
CALL = '\n{"tool": "imagine", "prompt": "a fox in the deep snow"}'
PICTURE_SECONDS = 2.0
"""Seconds of a picture that a tool draws, as FLUX schnell takes."""
_NUMBER = re.compile(r"\bt(\d+)\b")
_LINE, _PARAGRAPH = 12, 60
_PIECE = 4


@dataclass(frozen=True)
class Speech:
    """The script of a model: `tokens` at `per_second`; with `fails_after`, the later tokens never arrive."""

    tokens: tuple[str, ...]
    per_second: float
    fails_after: int | None = None
    call: str = ""
    """The call of a tool behind the tokens, in pieces of four characters."""

    @property
    def call_pieces(self) -> list[str]:
        return [self.call[start : start + _PIECE] for start in range(0, len(self.call), _PIECE)]

    @property
    def delivered_tokens(self) -> tuple[str, ...]:
        return self.tokens[: self.fails_after]


def make_prose(tokens: int, per_second: float, fails_after: int | None = None, *, digits: int = 1) -> Speech:
    """Return numbered words of at least `digits` digits, twelve to a line and five lines to a paragraph."""

    def after(n: int) -> str:
        return "\n\n" if n % _PARAGRAPH == 0 else "\n" if n % _LINE == 0 else " "

    return Speech(tuple(f"t{n:0{digits}}{after(n + 1)}" for n in range(tokens)), per_second, fails_after)


def make_code(tokens: int, per_second: float) -> Speech:
    """Return the same words in one fenced block, six to a line."""
    words = [f"t{n}{')' if n % 6 == 5 else '('}{chr(10) if n % 6 == 5 else ''}" for n in range(tokens)]
    return Speech((f"```python\n{words[0]}", *words[1:-1], f"{words[-1]}```\n"), per_second)


@dataclass
class SpeechRun:
    """One answer of the model: the time of the request and of each token."""

    speech: Speech
    asked_at: float = 0.0
    token_times: list[float] = field(default_factory=list)
    ended_at: float = 0.0
    """The time of the last piece of the call, or of the last token."""


class SpeechBackend(ScriptedBackend):
    """Answers a question with the speech arranged for that question. `now` returns the current time in seconds."""

    def __init__(self, clock: Clock, now: Callable[[], float]) -> None:
        super().__init__(clock)
        self._now = now
        self._tellings: dict[str, SpeechRun] = {}

    def arrange(self, question: str, speech: Speech) -> SpeechRun:
        """Arrange a speech for prompts with this question."""
        telling = self._tellings[question] = SpeechRun(speech)
        return telling

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        run, now = self.runs[backend_id], self._now
        if not model.output.is_text:
            yield RunStarted()
            await asyncio.sleep(PICTURE_SECONDS)
            async for event in super().watch(model, backend_id):
                yield event
            return
        # The latest first: the words of a conversation hold the earlier questions too.
        telling = next(one for question, one in reversed(self._tellings.items()) if question in run.words)
        speech, telling.asked_at = telling.speech, now()
        yield RunPending()
        await asyncio.sleep(FIRST_TOKEN_SECONDS)
        begins = now()
        yield RunStarted()
        for n, token in enumerate(speech.delivered_tokens):
            await asyncio.sleep(begins + n / speech.per_second - now())
            telling.token_times.append(now())
            yield TextDelta(token)
        for n, piece in enumerate(speech.call_pieces, len(speech.delivered_tokens)):
            await asyncio.sleep(begins + n / speech.per_second - now())
            yield TextDelta(piece)
        telling.ended_at = now()
        has_failed = speech.fails_after is not None
        run.script = RunScript(
            words=(*speech.delivered_tokens, speech.call), error="out of memory" if has_failed else ""
        )
        run.state = PredictionState.FAILED if has_failed else PredictionState.SUCCEEDED
        yield RunEnded(self._snapshot(run))


@dataclass(frozen=True)
class SpeechMeasurement:
    """One answer as read on the screen, in seconds; `delays` run from each token to the first version with it."""

    delay_seconds: tuple[float, ...]
    lost_tokens: int
    """Return the number of tokens absent from the last versions."""
    is_in_order: bool
    longest_gap_seconds: float
    """Return the longest gap between two arrivals of words, in seconds."""
    first_seconds: float
    """Return seconds from the first token to the first words."""
    last_seconds: float
    """Return seconds from the last token, also of a call, to the final version of the text."""
    asked_after_seconds: float
    """Return seconds from the question to the request to the model."""


def measure_speech(
    telling: SpeechRun, question_at: float, messages: Iterable[list[tuple[float, str]]]
) -> SpeechMeasurement:
    """Compare an answer with messages, each a list of versions: the time, and the text from then on."""
    parts = [versions for versions in messages if versions]
    visible: dict[int, float] = {}
    for at, text in sorted(version for versions in parts for version in versions):
        for number in _numbers(text):
            visible.setdefault(number, at)
    shown = [number for versions in parts for number in _numbers(versions[-1][1])]
    said = telling.token_times
    moments = sorted(set(visible.values()))
    return SpeechMeasurement(
        delay_seconds=tuple(visible[n] - at for n, at in enumerate(said) if n in visible),
        lost_tokens=len(set(range(len(said))) - set(shown)),
        is_in_order=shown == sorted(set(shown)),
        longest_gap_seconds=max((later - earlier for earlier, later in pairwise(moments)), default=0.0),
        first_seconds=moments[0] - said[0],
        last_seconds=max(versions[-1][0] for versions in parts) - telling.ended_at,
        asked_after_seconds=telling.asked_at - question_at,
    )


def _numbers(text: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(text)]


def compute_percentile(values: Iterable[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
