"""How a prediction fails: the model's own words."""

from bot.sandbox.faults import FaultKind, SandboxFault

_MODERATED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (sandbox)"
# E003 to E005 as in replicate/cog-flux helpers/exceptions/prediction.py; of E001 and E002 only the codes are known.
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
    """The prediction fails with this text as its error."""


def create_failure(fault: SandboxFault | None, nsfw_error: str | None) -> SandboxModelFailed | None:
    """The failure that a fault stands for, in the words of a model; None when it stands for something else."""
    if fault is None:
        return None
    if fault.kind is FaultKind.NSFW:
        return SandboxModelFailed(nsfw_error or _MODERATED)
    return SandboxModelFailed(_FAILURE_MESSAGES[fault.kind]) if fault.kind in _FAILURE_MESSAGES else None
