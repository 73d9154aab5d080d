"""Failures on request: by a word in the prompt (`fault:oom`) or by POST /sandbox/faults.

nsfw, fail, oom, e003, e005   the prediction fails with that model's words
coldstart, slow, hang         it boots late, runs long, or runs until somebody stops it
cut                           its stream breaks half-way, once
500                           it is created, but the reply is a 500
402, 429                      it is not created (429 by a word: only the first time that input is seen)

Delays are seconds of the sandbox's clock, whatever its speed: `fault:slow=3`, or move the clock.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.sandbox.chat_template import last_user_turn

_WORD = re.compile(r"\bfault:([a-z0-9]+)(?:=(\d+(?:\.\d+)?))?")
_SEEN_AT_MOST = 1000


class FaultKind(StrEnum):
    NSFW = "nsfw"
    FAIL = "fail"
    OOM = "oom"
    E003 = "e003"
    E005 = "e005"
    COLDSTART = "coldstart"
    SLOW = "slow"
    HANG = "hang"
    CUT = "cut"
    SERVER_ERROR = "500"
    NO_CREDIT = "402"
    THROTTLED = "429"


_DEFAULT_SECONDS = {FaultKind.COLDSTART: 12.0, FaultKind.SLOW: 15.0, FaultKind.THROTTLED: 5.0}


@dataclass(frozen=True)
class Fault:
    kind: FaultKind
    seconds: float

    @classmethod
    def of(cls, kind: str, seconds: float | None = None) -> "Fault":
        """Raises ValueError when there is no such fault."""
        known = FaultKind(kind)
        return cls(known, _DEFAULT_SECONDS.get(known, 0.0) if seconds is None else seconds)


@dataclass
class _Armed:
    fault: Fault
    model: str | None
    times: int


class FaultPlan:
    """Decides which fault, if any, the next prediction meets."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._throttled_once: OrderedDict[str, None] = OrderedDict()

    def arm(self, fault: Fault, model: str | None = None, times: int = 1) -> None:
        """The next `times` predictions (of `model`, when given as owner/name) meet `fault`."""
        self._armed.append(_Armed(fault, model, times))

    def disarm(self) -> None:
        self._armed.clear()

    def take(self, model: str, model_input: Mapping[str, Any], fingerprint: str) -> Fault | None:
        fault = fault_in_words(model_input)
        if fault is None:
            return self._take_armed(model)
        if fault.kind is FaultKind.THROTTLED and not self._is_first(fingerprint):
            return None
        return fault

    def _take_armed(self, model: str) -> Fault | None:
        for armed in self._armed:
            if armed.model in (None, model):
                armed.times -= 1
                if armed.times <= 0:
                    self._armed.remove(armed)
                return armed.fault
        return None

    def _is_first(self, fingerprint: str) -> bool:
        if fingerprint in self._throttled_once:
            return False
        self._throttled_once[fingerprint] = None
        if len(self._throttled_once) > _SEEN_AT_MOST:
            self._throttled_once.popitem(last=False)
        return True


def fault_in_words(model_input: Mapping[str, Any]) -> Fault | None:
    """The first known fault word of the prompt (its last user turn) or the question."""
    for name in ("prompt", "question"):
        text = model_input.get(name)
        for word, seconds in _WORD.findall(last_user_turn(text)) if isinstance(text, str) else ():
            if word in set(FaultKind):
                return Fault.of(word, float(seconds) if seconds else None)
    return None


def without_fault_words(text: str) -> str:
    return _WORD.sub("", text).strip()
