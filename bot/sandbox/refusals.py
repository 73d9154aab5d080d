"""The faults of a create call: it is refused, or it is answered with a 500 although the prediction lives."""

from bot.sandbox.faults import Fault, FaultKind
from bot.sandbox.problems import insufficient_credit, reduced, server_error, throttled


def refuse(fault: Fault | None) -> None:
    """Raise the Problem of a fault that lets nothing be created."""
    match fault.kind if fault else None:
        case FaultKind.NO_CREDIT:
            raise insufficient_credit()
        case FaultKind.THROTTLED:
            raise throttled(_seconds(fault))
        case FaultKind.STORM:
            raise throttled(1)
        case FaultKind.LOW_CREDIT:
            raise reduced(_seconds(fault))


def refuse_after_creating(fault: Fault | None) -> None:
    """Raise the 500 that leaves the caller in the dark about a prediction that was created."""
    if fault and fault.kind is FaultKind.SERVER_ERROR:
        raise server_error()


def _seconds(fault: Fault | None) -> int:
    return max(1, round(fault.amount)) if fault else 1
