"""What a fault makes of the webhooks of one prediction: lost, doubled, late, out of order, or somebody else's."""

import json
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.faults import FaultKind
from bot.sandbox.ids import new_opaque_token
from bot.sandbox.predictions import SandboxPrediction


@dataclass(frozen=True)
class OutgoingWebhook:
    """One webhook. Its id is the same on every try, so that the receiver can tell."""

    url: str
    body: bytes
    tries: int = 1
    id: str = field(default_factory=lambda: "msg_" + new_opaque_token()[:27])

    @property
    def is_last(self) -> bool:
        """Only the last of a prediction is tried again."""
        return self.tries > 1


class WebhookFaults:
    def __init__(self) -> None:
        self._held: dict[str, list[OutgoingWebhook]] = {}

    def apply(self, prediction: SandboxPrediction, letter: OutgoingWebhook) -> list[OutgoingWebhook]:
        """What is sent in the place of `letter`, in this order."""
        if prediction.has_fault(FaultKind.WEBHOOK_LOST):
            return []
        if prediction.has_fault(FaultKind.WEBHOOK_DOUBLED):
            return [letter, letter]
        if prediction.has_fault(FaultKind.WEBHOOK_REORDERED):
            return self._reordered(prediction, letter)
        return [letter]

    def _reordered(self, prediction: SandboxPrediction, letter: OutgoingWebhook) -> list[OutgoingWebhook]:
        """The last one first; what was said before follows it, newest first."""
        if letter.is_last:
            return [letter, *reversed(self._held.pop(prediction.id, []))]
        self._held.setdefault(prediction.id, []).append(letter)
        return []


def get_delay_seconds(prediction: SandboxPrediction) -> float:
    return prediction.fault.amount if prediction.fault and prediction.has_fault(FaultKind.WEBHOOK_LATE) else 0.0


def create_forged_webhook(url: str, body: dict[str, Any]) -> OutgoingWebhook:
    """What somebody without the secret would claim: that it is done, and where the result lies."""
    lie = body | {"status": "succeeded", "output": ["https://forged.invalid/out-0.png"], "logs": ""}
    return OutgoingWebhook(url, json.dumps(lie).encode())
