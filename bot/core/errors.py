"""Every error of the bot.

EaselError
├── UserError                what a person can act on; its text is what they read
│   ├── BadOption            an option out of bounds, missing, or of the wrong kind
│   ├── UnknownName          no such command, option or model; names the nearest
│   ├── NotAllowed           the rank is too low, or the workspace is unknown
│   ├── Refused              words, blocks, pauses and adult content
│   ├── BadFile              no picture, too large, or a decompression bomb
│   ├── UnsafeAddress        a link we must not follow
│   ├── NoMoney              what a job may cost is not there
│   │   ├── OutOfCredits         the person's own money
│   │   └── BudgetSpent          a budget of theirs, of the workspace or the bot
│   ├── LimitReached         as many jobs at once, or in a minute, as one may have
│   ├── NoSuchJob            nothing to show, cancel or press
│   ├── AlreadyRunning       the same button is being worked on
│   ├── Unavailable          we are stopping, starting or too busy; nothing was lost
│   └── BackendError         the backend or the model; nobody was charged
│       ├── BackendDown          not reached, or answering with errors
│       ├── BackendBusy          throttled; says when to try again
│       ├── BackendOutOfCredit   the owner's account there is empty
│       ├── BackendRefusedToken  the owner's token is wrong
│       ├── InputRefused         the model does not take these inputs
│       ├── PredictionGone       the backend has deleted it
│       ├── ModelFailed          the run ended with an error
│       └── ModelFlagged         the run was refused as sensitive
├── Fault                    what we must fix; people read a short reference they can quote
│   ├── LedgerUnguarded      the database lost the triggers that guard money
│   └── DatabaseInUse        another process holds this database
├── NeedsConsent             a person must agree first (shown as a question with two buttons)
├── SubmitUnclear            a create broke half-way: it may or may not run (never shown)
├── OutputGone               a file to fetch is no longer there (never shown)
└── Conflict                 a unique row exists already (never shown)
    ├── DuplicateAsk         this request key has its job
    ├── DuplicatePress       this press key has an open job
    ├── AlreadyClaimed       this backend id belongs to another prediction
    ├── DuplicateEntry       this ledger key was used
    └── Overdrawn            the database refused to let an account go below zero
"""

import secrets
from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class EaselError(Exception):
    """Anything of ours that is raised on purpose."""


class UserError(EaselError):
    """What a person can act on. `str(error)` is one sentence or two that they read."""


class BadOption(UserError):
    """An option out of bounds, missing, or of the wrong kind; `option` names it, for forms that mark the field."""

    def __init__(self, text: str, *, option: str = "") -> None:
        super().__init__(text)
        self.option = option


class UnknownName(UserError):
    """No such command, option or model; the nearest known name is offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, advice: str = "") -> None:
        nearest = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]}?" if nearest else f" {advice}" if advice else ""
        super().__init__(f"There is no {kind} called “{name}”.{hint}")
        self.nearest = nearest[0] if nearest else ""


class NotAllowed(UserError):
    """The rank is too low, or the workspace is unknown."""


class RequestRefused(UserError):
    """Words, blocks, pauses and adult content."""


class BadFile(UserError):
    """No picture, too large, or a decompression bomb."""


class UnsafeAddress(UserError):
    """A link we must not follow."""


class InsufficientFunds(UserError):
    """What a job may cost is not there. `left` is what one may cost now, in micros."""

    def __init__(self, text: str, *, available_micros: int) -> None:
        super().__init__(text)
        self.available_micros = available_micros

    def suggest(self, sentence: str) -> None:
        """Add a sentence that says what would do instead."""
        self.args = (f"{self} {sentence}",)


class OutOfCredits(InsufficientFunds):
    """The person's own money does not reach."""

    def __init__(self, *, missing_credits: str, refill_time: str, available_micros: int) -> None:
        """`refills` says when, or nothing where waiting does not help."""
        refill = f" They refill {refill_time}." if refill_time else " Ask a moderator for more."
        super().__init__(f"You are {missing_credits} credits short.{refill}", available_micros=available_micros)


class BudgetExceeded(InsufficientFunds):
    """A budget that must have room has none."""

    def __init__(self, *, budget_name: str, missing_credits: str, refill_time: str, available_micros: int) -> None:
        """`refills` says when, or nothing where even all of it would not do."""
        then = (
            f"It refills {refill_time}."
            if refill_time
            else "Even all of it would not do: ask a moderator, or for something smaller."
        )
        super().__init__(
            f"{budget_name} has no room for this: {missing_credits} credits short. {then}",
            available_micros=available_micros,
        )


class LimitReached(UserError):
    """As many jobs at once, or in a minute, as this person may have."""


class JobNotFound(UserError):
    """Nothing to show, cancel or press."""


class AlreadyRunning(UserError):
    """The same button is being worked on."""


class Unavailable(UserError):
    """We are stopping, starting or too busy; nothing was lost."""


class BackendError(UserError):
    """The backend or the model; the person was not charged."""


class BackendDown(BackendError):
    """Not reached, or answering with errors."""


class BackendBusy(BackendError):
    """Throttled; `retry_after` is in seconds."""

    def __init__(self, text: str, *, retry_after_seconds: float) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class BackendOutOfCredit(BackendError):
    """The owner's account at the backend is empty."""


class BackendRefusedToken(BackendError):
    """The owner's token is wrong or missing."""


class InputRefused(BackendError):
    """The model does not take these inputs; the text names the fields."""


class PredictionGone(BackendError):
    """The backend has deleted the run and what it made."""


class ModelFailed(BackendError):
    """The run ended with an error; the text is the model's."""


class ModelFlagged(BackendError):
    """The run was refused as sensitive."""


class InternalError(EaselError):
    """What we must fix. People read a short reference that stands in the log too."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.reference = new_reference()


class LedgerTriggersMissing(InternalError):
    """The database lost the triggers that guard money."""


class DatabaseInUse(InternalError):
    """Another process holds this database."""


class ConfirmationRequired(EaselError):
    """A person must agree before anything is done; `str(error)` is the question they read."""

    def __init__(
        self,
        question: str,
        *,
        button_label: str = "Go ahead",
        price_micros: int = 0,
        files: Mapping[str, str] | None = None,
    ):
        """`go` is what the button says; `micros` the price to agree to; `files` what was taken, SHA-256 by option."""
        super().__init__(question)
        self.button_label = button_label
        self.price_micros = price_micros
        self.files = dict(files or {})


class SubmitUnclear(EaselError):
    """A create broke half-way: the backend may or may not be running it."""


class OutputGone(EaselError):
    """A file to fetch is no longer there."""


class Conflict(EaselError):
    """A unique row exists already."""


class DuplicateRequest(Conflict):
    """This request key has its job."""


class DuplicatePress(Conflict):
    """This press key has an open job."""


class AlreadyClaimed(Conflict):
    """This backend id belongs to another prediction."""


class DuplicateEntry(Conflict):
    """This ledger key was used."""


class Overdrawn(Conflict):
    """The database refused to let an account go below zero."""


def new_reference() -> str:
    """Six characters a person can read out and we can grep."""
    return "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(6))
