"""What a fault makes of the webhooks of one prediction: lost, doubled, late, out of order, or somebody else's."""

import json
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.faults import FaultKind
from bot.sandbox.ids import opaque_token
from bot.sandbox.predictions import Prediction


@dataclass(frozen=True)
class Letter:
    """One webhook. Its id is the same on every try, so that the receiver can tell."""

    url: str
    body: bytes
    tries: int = 1
    id: str = field(default_factory=lambda: "msg_" + opaque_token()[:27])

    @property
    def is_last(self) -> bool:
        """Only the last of a prediction is tried again."""
        return self.tries > 1


class WebhookFaults:
    def __init__(self) -> None:
        self._held: dict[str, list[Letter]] = {}

    def letters(self, prediction: Prediction, letter: Letter) -> list[Letter]:
        """What is sent in the place of `letter`, in this order."""
        if prediction.meets(FaultKind.WEBHOOK_LOST):
            return []
        if prediction.meets(FaultKind.WEBHOOK_DOUBLED):
            return [letter, letter]
        if prediction.meets(FaultKind.WEBHOOK_REORDERED):
            return self._reordered(prediction, letter)
        return [letter]

    def _reordered(self, prediction: Prediction, letter: Letter) -> list[Letter]:
        """The last one first; what was said before follows it, newest first."""
        if letter.is_last:
            return [letter, *reversed(self._held.pop(prediction.id, []))]
        self._held.setdefault(prediction.id, []).append(letter)
        return []


def lateness_seconds(prediction: Prediction) -> float:
    return prediction.fault.amount if prediction.fault and prediction.meets(FaultKind.WEBHOOK_LATE) else 0.0


def forged(url: str, body: dict[str, Any]) -> Letter:
    """What somebody without the secret would claim: that it is done, and where the result lies."""
    lie = body | {"status": "succeeded", "output": ["https://forged.invalid/out-0.png"], "logs": ""}
    return Letter(url, json.dumps(lie).encode())
