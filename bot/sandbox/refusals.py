"""The faults of a create call: it is refused, or it is answered with a 500 although the prediction lives."""

from bot.sandbox.faults import FaultKind, SandboxFault
from bot.sandbox.problems import make_insufficient_credit, make_low_credit_throttled, make_server_error, make_throttled


def raise_create_fault(fault: SandboxFault | None) -> None:
    """Raise the Problem of a fault that lets nothing be created."""
    match fault.kind if fault else None:
        case FaultKind.NO_CREDIT:
            raise make_insufficient_credit()
        case FaultKind.THROTTLED:
            raise make_throttled(_seconds(fault))
        case FaultKind.STORM:
            raise make_throttled(1)
        case FaultKind.LOW_CREDIT:
            raise make_low_credit_throttled(_seconds(fault))


def raise_fault_after_create(fault: SandboxFault | None) -> None:
    """Raise the 500 that leaves the caller in the dark about a prediction that was created."""
    if fault and fault.kind is FaultKind.SERVER_ERROR:
        raise make_server_error()


def _seconds(fault: SandboxFault | None) -> int:
    return max(1, round(fault.amount)) if fault else 1
