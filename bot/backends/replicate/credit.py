"""Whether the owner's account at Replicate can pay: told to the owner once, however many asks are refused."""

import logging

log = logging.getLogger(__name__)


class BillingState:
    """An episode begins with the first 402 and ends with the first create that goes through."""

    def __init__(self) -> None:
        self._is_out_of_credit = False

    def record_refusal(self) -> None:
        """A create was answered with 402."""
        if not self._is_out_of_credit:
            log.error("backend.out_of_credit", extra={"backend": "replicate", "see": "replicate.com/account/billing"})
        self._is_out_of_credit = True

    def record_payment(self) -> None:
        """A create went through."""
        if self._is_out_of_credit:
            log.warning("backend.credit_is_back", extra={"backend": "replicate"})
        self._is_out_of_credit = False
