"""Failures on request: by a word in the prompt (`fault:oom`) or by POST /sandbox/faults.

docs/sandbox.md has the table of all faults; a test compares the table with `FaultKind`. A word may carry an amount
(`fault:slow=3`): seconds of the sandbox's clock, independent of its speed, or the number of refusals for `storm`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.core.caches import RecentItems
from bot.sandbox.problems import make_insufficient_credit, make_low_credit_throttled, make_server_error, make_throttled

_USER_TURN = re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>\s*(.*?)(?:<\|eot_id\|>|\Z)", re.DOTALL)
_PLAIN_TURN = re.compile(r"(?:\A|\n\n)User: (.*?)(?=\n\n(?:User|Assistant):|\Z)", re.DOTALL)
_CONTROL_TOKEN = re.compile(r"<\|[a-z_]+\|>")


def find_question(model_input: Mapping[str, Any]) -> str:
    """Return the words of the last user message, or the user's last turn in the prompt."""
    messages = model_input.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return str(message.get("content", ""))
    prompt = model_input.get("prompt")
    return find_last_user_turn(prompt) if isinstance(prompt, str) else ""


def find_last_user_turn(prompt: str) -> str:
    """Return the user's last turn in a Llama-3 template or in plain lines, or the whole prompt without turns."""
    turns = _USER_TURN.findall(prompt) or _PLAIN_TURN.findall(prompt)
    return _CONTROL_TOKEN.sub("", turns[-1] if turns else prompt).strip()


_FAULT_WORD = re.compile(r"\bfault:([a-z0-9]+(?:-[a-z]+)?)(?:=(\d+(?:\.\d+)?))?")
_SEEN_AT_MOST = 1000


class FaultKind(StrEnum):
    # The prediction fails with the model's own error text.
    NSFW = "nsfw"
    FAIL = "fail"
    OOM = "oom"
    SETUP = "setup"
    E001 = "e001"
    E002 = "e002"
    E003 = "e003"
    E004 = "e004"
    E005 = "e005"
    # The run takes longer.
    COLDSTART = "coldstart"
    SLOW = "slow"
    HANG = "hang"
    # The stream loses, repeats or reorders events.
    CUT = "cut"
    STREAM_LOST = "stream-lost"
    STREAM_DOUBLED = "stream-doubled"
    STREAM_REORDERED = "stream-reordered"
    # Webhooks are lost, repeated, reordered, forged or late.
    WEBHOOK_LOST = "webhook-lost"
    WEBHOOK_DOUBLED = "webhook-doubled"
    WEBHOOK_REORDERED = "webhook-reordered"
    WEBHOOK_FORGED = "webhook-forged"
    WEBHOOK_LATE = "webhook-late"
    # Output files are missing or inline.
    EXPIRED = "expired"
    INLINE = "inline"
    # The reply to the create is an error.
    SERVER_ERROR = "500"
    NO_CREDIT = "402"
    THROTTLED = "429"
    STORM = "storm"
    LOW_CREDIT = "lowcredit"


_DEFAULT_AMOUNTS = {
    FaultKind.COLDSTART: 12.0,
    FaultKind.SLOW: 15.0,
    FaultKind.WEBHOOK_LATE: 20.0,
    FaultKind.THROTTLED: 5.0,
    FaultKind.LOW_CREDIT: 10.0,
    FaultKind.STORM: 5.0,
}
# Ordered by a word, these faults refuse an input the first time only (a storm: the first times): a retry of the same
# prompt then shows the recovery.
_TRANSIENT = (FaultKind.THROTTLED, FaultKind.LOW_CREDIT, FaultKind.STORM)


@dataclass(frozen=True)
class SandboxFault:
    """A fault with its size: `magnitude` is in seconds, for a storm a number of refusals."""

    kind: FaultKind
    magnitude: float

    @classmethod
    def parse(cls, kind: str, amount: float | None = None) -> "SandboxFault":
        """Parse a fault word; raise ValueError for an unknown word."""
        known = FaultKind(kind)
        return cls(known, _DEFAULT_AMOUNTS.get(known, 0.0) if amount is None else amount)


@dataclass
class _Armed:
    fault: SandboxFault
    model: str | None
    times: int


class FaultPlan:
    """Chooses the fault, if any, of the next prediction."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._refused: RecentItems[str, int] = RecentItems(_SEEN_AT_MOST)

    def arm(self, fault: SandboxFault, model: str | None = None, times: int = 1) -> None:
        """Order `fault` for the next `times` predictions (of `model`, given as owner/name)."""
        self._armed.append(_Armed(fault, model, times))

    def disarm(self) -> None:
        self._armed.clear()

    def take(self, model: str, model_input: Mapping[str, Any], fingerprint: str) -> SandboxFault | None:
        fault = find_fault(model_input)
        if fault is None:
            return self._take_armed(model)
        if fault.kind in _TRANSIENT and self._has_passed(fault, fingerprint):
            return None
        return fault

    def _take_armed(self, model: str) -> SandboxFault | None:
        for armed in self._armed:
            if armed.model in (None, model):
                armed.times -= 1
                if armed.times <= 0:
                    self._armed.remove(armed)
                return armed.fault
        return None

    def _has_passed(self, fault: SandboxFault, fingerprint: str) -> bool:
        """Return whether the input was refused often enough; count one refusal otherwise."""
        refused = self._refused.get(fingerprint, 0)
        if refused >= (fault.magnitude if fault.kind is FaultKind.STORM else 1):
            return True
        self._refused[fingerprint] = refused + 1
        return False


def find_fault(model_input: Mapping[str, Any]) -> SandboxFault | None:
    """Return the first known fault word of the prompt (the last user turn), the question or the words to speak."""
    for text in (find_question(model_input), model_input.get("question"), model_input.get("text")):
        for word, amount in _FAULT_WORD.findall(text) if isinstance(text, str) else ():
            if word in set(FaultKind):
                return SandboxFault.parse(word, float(amount) if amount else None)
    return None


def strip_fault_words(text: str) -> str:
    return _FAULT_WORD.sub("", text).strip()


_MODERATED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (sandbox)"
# E003 to E005 as in replicate/cog-flux helpers/exceptions/prediction.py; for E001 and E002 only the codes are known.
_FAILURE_MESSAGES = {
    FaultKind.FAIL: "Prediction failed: RuntimeError: deliberate failure: the sandbox was asked to fail.",
    FaultKind.OOM: (
        "CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; 79.15 GiB total capacity; 61.20 GiB already allocated)"
    ),
    FaultKind.E001: "The provider of this model has insufficient credits. (E001) (sandbox)",
    FaultKind.E002: "The provider of this model did not accept the API key. (E002) (sandbox)",
    FaultKind.E003: "Service is currently unavailable due to high demand. Please try again later. (E003) (sandbox)",
    FaultKind.E004: "Service is temporarily unavailable. Please try again later. (E004) (sandbox)",
    FaultKind.E005: _MODERATED,
}
SETUP_FAILED = "Model setup failed: the sandbox was asked to."


class SandboxModelFailed(Exception):
    """Raised by a model: the prediction fails with this error text."""


def create_failure(fault: SandboxFault | None, nsfw_error: str | None) -> SandboxModelFailed | None:
    """Return the failure of a fault with the model's error text; None for a fault of another kind."""
    if fault is None:
        return None
    if fault.kind is FaultKind.NSFW:
        return SandboxModelFailed(nsfw_error or _MODERATED)
    return SandboxModelFailed(_FAILURE_MESSAGES[fault.kind]) if fault.kind in _FAILURE_MESSAGES else None


def raise_create_fault(fault: SandboxFault | None) -> None:
    """Raise the problem of a fault that refuses the create."""
    match fault.kind if fault else None:
        case FaultKind.NO_CREDIT:
            raise make_insufficient_credit()
        case FaultKind.THROTTLED:
            raise make_throttled(_get_seconds(fault))
        case FaultKind.STORM:
            raise make_throttled(1)
        case FaultKind.LOW_CREDIT:
            raise make_low_credit_throttled(_get_seconds(fault))


def raise_fault_after_create(fault: SandboxFault | None) -> None:
    """Raise the 500 that hides a created prediction from the caller."""
    if fault and fault.kind is FaultKind.SERVER_ERROR:
        raise make_server_error()


def _get_seconds(fault: SandboxFault | None) -> int:
    return max(1, round(fault.magnitude)) if fault else 1
