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

    def __init__(self, what: str, name: str, known: Iterable[str], *, how: str = "") -> None:
        nearest = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]}?" if nearest else f" {how}" if how else ""
        super().__init__(f"There is no {what} called “{name}”.{hint}")
        self.nearest = nearest[0] if nearest else ""


class NotAllowed(UserError):
    """The rank is too low, or the workspace is unknown."""


class Refused(UserError):
    """Words, blocks, pauses and adult content."""


class BadFile(UserError):
    """No picture, too large, or a decompression bomb."""


class UnsafeAddress(UserError):
    """A link we must not follow."""


class NoMoney(UserError):
    """What a job may cost is not there. `left` is what one may cost now, in micros."""

    def __init__(self, text: str, *, left: int) -> None:
        super().__init__(text)
        self.left = left

    def suggest(self, what: str) -> None:
        """Add a sentence that says what would do instead."""
        self.args = (f"{self} {what}",)


class OutOfCredits(NoMoney):
    """The person's own money does not reach."""

    def __init__(self, *, short_by: str, refills: str, left: int) -> None:
        """`refills` says when, or nothing where waiting does not help."""
        refill = f" They refill {refills}." if refills else " Ask a moderator for more."
        super().__init__(f"You are {short_by} credits short.{refill}", left=left)


class BudgetSpent(NoMoney):
    """A budget that must have room has none."""

    def __init__(self, *, whose: str, short_by: str, refills: str, left: int) -> None:
        """`refills` says when, or nothing where even all of it would not do."""
        then = (
            f"It refills {refills}."
            if refills
            else "Even all of it would not do: ask a moderator, or for something smaller."
        )
        super().__init__(f"{whose} has no room for this: {short_by} credits short. {then}", left=left)


class LimitReached(UserError):
    """As many jobs at once, or in a minute, as this person may have."""


class NoSuchJob(UserError):
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

    def __init__(self, text: str, *, retry_after: float) -> None:
        super().__init__(text)
        self.retry_after = retry_after


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


class Fault(EaselError):
    """What we must fix. People read a short reference that stands in the log too."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.reference = new_reference()


class LedgerUnguarded(Fault):
    """The database lost the triggers that guard money."""


class DatabaseInUse(Fault):
    """Another process holds this database."""


class NeedsConsent(EaselError):
    """A person must agree before anything is done; `str(error)` is the question they read."""

    def __init__(self, question: str, *, go: str = "Go ahead", micros: int = 0, files: Mapping[str, str] | None = None):
        """`go` is what the button says; `micros` the price to agree to; `files` what was taken, SHA-256 by option."""
        super().__init__(question)
        self.go = go
        self.micros = micros
        self.files = dict(files or {})


class SubmitUnclear(EaselError):
    """A create broke half-way: the backend may or may not be running it."""


class OutputGone(EaselError):
    """A file to fetch is no longer there."""


class Conflict(EaselError):
    """A unique row exists already."""


class DuplicateAsk(Conflict):
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
