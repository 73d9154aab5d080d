"""Errors of the bot: the whole tree, in the order of the definitions below.

EaselError
│
│   A user can act on these: the text of the error is the text of the reply.
├── UserError
│   ├── BadOption                an option is out of bounds, missing, or of the wrong kind
│   ├── UnknownName              no such command, option or model; the text names the nearest
│   ├── NotAllowed               the rank is too low, or the workspace is unknown
│   ├── RequestRefused           refused words, blocks, pauses, adult content
│   ├── BadFile                  no picture, or a decompression bomb
│   │   └── FileTooLarge             too many bytes or pixels
│   ├── OutputTooLarge           the model's output exceeds the bot's bounds; the user was charged for the run
│   ├── UnsafeAddress            a link must not be followed
│   ├── InsufficientFunds        the maximum cost of a job is not available
│   │   ├── OutOfCredits             in the user's wallets
│   │   └── BudgetExceeded           in a budget of the user, the workspace or the bot
│   ├── LimitReached             too many jobs at once or in a minute
│   ├── JobNotFound              no job to show, cancel or press
│   ├── AlreadyRunning           an earlier press of the same button still runs
│   ├── Unavailable              the bot is starting, stopping or too busy; no work was lost
│   └── BackendError             the backend or the model failed; the user was not charged
│       ├── BackendDown              unreachable, or answering with errors
│       ├── BackendBusy              throttled, with the time of the next attempt
│       ├── BackendOutOfCredit       the owner's account at the backend is empty
│       ├── BackendRefusedToken      the owner's token is wrong or missing
│       ├── InputRefused             the model does not accept the inputs
│       ├── PredictionGone           the backend deleted the run
│       ├── RunLost                  no server tells what became of the run
│       ├── ModelFailed              the run ended with an error
│       └── ModelFlagged             the run was refused as sensitive
│
│   We must fix these: a user reads a short reference, the log has the rest.
├── InternalError
│   ├── LedgerTriggersMissing    the database lost the triggers that guard money
│   └── DatabaseInUse            another process holds the database
│
│   The bot's own code handles these: no user sees the error itself.
├── ConfirmationRequired         the dispatcher shows the question with two buttons
├── SubmitUnclear                a create broke half-way: the run may or may not exist
├── OutputGone                   a file to fetch no longer exists
└── Conflict                     a unique row exists already
    ├── DuplicateRequest             the request key has a job
    ├── DuplicatePress               the press key has an open job
    ├── AlreadyClaimed               the backend id belongs to another prediction
    ├── DuplicateEntry               the ledger key was used
    └── Overdrawn                    an account would fall below zero

A package derives further errors for its own use: `CatalogueError`, `DraftingError`, `JobLost`, Slack's `CallRefused`
and `CallUnclear`.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias


class EaselError(Exception):
    """Base class of the errors that the bot raises on purpose."""


class UserError(EaselError):
    """An error that a user can act on. `str(error)` is the reply: one or two sentences.

    `moderator_text` is the reply to a moderator where users are sent to a moderator; empty where one text suits all.
    """

    def __init__(self, text: str, *, moderator_text: str = "") -> None:
        super().__init__(text)
        self.moderator_text = moderator_text


class BadOption(UserError):
    """An option is out of bounds, missing, or of the wrong kind. Forms mark the field named by `option`."""

    def __init__(self, text: str, *, option: str = "") -> None:
        super().__init__(text)
        self.option = option


class UnknownName(UserError):
    """No such command, option or model. The text offers the nearest known name, or else `advice`."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, advice: str = "") -> None:
        nearest = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]}?" if nearest else f" {advice}" if advice else ""
        super().__init__(f"There is no {kind} called “{name}”.{hint}")
        self.nearest = nearest[0] if nearest else ""


class NotAllowed(UserError):
    """The rank is too low, or the workspace is unknown."""


class RequestRefused(UserError):
    """Refused words, a blocked user, a pause, or adult content outside its channels."""


class BadFile(UserError):
    """The file is no picture, or a decompression bomb."""


class FileTooLarge(BadFile):
    """The file has more bytes or pixels than the bot accepts."""


class OutputTooLarge(UserError):
    """The model's output exceeds the bot's bounds. The model did its work: the user was charged for the run."""


class UnsafeAddress(UserError):
    """The bot must not follow the link."""


class InsufficientFunds(UserError):
    """The maximum cost of a job is not available. `available_micros` is the maximum that a job may cost now."""

    def __init__(self, text: str, *, available_micros: int, moderator_text: str = "") -> None:
        super().__init__(text, moderator_text=moderator_text)
        self.available_micros = available_micros

    def suggest(self, sentence: str) -> None:
        """Add a sentence with an alternative that the user can afford."""
        self.args = (f"{self} {sentence}",)
        if self.moderator_text:
            self.moderator_text = f"{self.moderator_text} {sentence}"


class OutOfCredits(InsufficientFunds):
    """The user's wallets do not cover the maximum cost."""

    def __init__(self, *, missing: str, refill_time: str, available_micros: int) -> None:
        """`missing` is "3 credits"; `refill_time` is empty where waiting for the refill does not help."""
        refill = f"They refill {refill_time}." if refill_time else "Ask a moderator for more."
        super().__init__(
            f"You are {missing} short. {refill}",
            available_micros=available_micros,
            moderator_text="" if refill_time else f"You are {missing} short. /quota grant gives more.",
        )


class BudgetExceeded(InsufficientFunds):
    """A budget of the user, the workspace or the bot does not cover the maximum cost."""

    def __init__(self, *, budget_name: str, missing: str, refill_time: str, available_micros: int) -> None:
        """`missing` is "3 credits"; `refill_time` is empty where even the full budget would not cover the cost."""
        fact = f"{budget_name} has no room for this: {missing} short."
        advice = (
            f"It refills {refill_time}."
            if refill_time
            else "Even all of it would not do: ask a moderator, or for something smaller."
        )
        super().__init__(
            f"{fact} {advice}",
            available_micros=available_micros,
            moderator_text="" if refill_time else f"{fact} /quota set and /quota budget set raise limits.",
        )


class LimitReached(UserError):
    """The user has too many jobs at once, or asked too often in a minute."""


class JobNotFound(UserError):
    """There is no job to show, cancel or press."""


class AlreadyRunning(UserError):
    """An earlier press of the same button still runs."""


class Unavailable(UserError):
    """The bot is starting, stopping or too busy; no work was lost."""


class BackendError(UserError):
    """The backend or the model failed; the user was not charged."""


class BackendDown(BackendError):
    """The backend is unreachable, or answers with errors."""


class BackendBusy(BackendError):
    """The backend throttles the bot."""

    def __init__(self, text: str, *, retry_after_seconds: float) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class BackendOutOfCredit(BackendError):
    """The owner's account at the backend is empty."""


class BackendRefusedToken(BackendError):
    """The owner's token is wrong or missing."""


class InputRefused(BackendError):
    """The model does not accept the inputs; the text names the fields."""


class PredictionGone(BackendError):
    """The backend deleted the run and its output."""


class RunLost(BackendError):
    """A crash or a broken connection lost the run, and no server tells what became of the run.

    The text does not mention money: the reply adds the end that the backend's `lost_runs` decides.
    """


class ModelFailed(BackendError):
    """The run ended with an error; the text is the model's."""


class ModelFlagged(BackendError):
    """The run was refused as sensitive."""


class InternalError(EaselError):
    """A fault of the bot. The user reads `reference`, and the log line of the fault carries the same reference."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.reference = new_reference()


class LedgerTriggersMissing(InternalError):
    """The database lost the triggers that guard money."""


class DatabaseInUse(InternalError):
    """Another process holds the database."""


Alternative: TypeAlias = tuple[str, Mapping[str, str | int | float | bool]]
"""A second button of a question: its label, and the options that a press changes."""


class ConfirmationRequired(EaselError):
    """The user must confirm before the command does any work. `str(error)` is the question."""

    def __init__(
        self,
        question: str,
        *,
        button_label: str = "Go ahead",
        price_micros: int = 0,
        files: Mapping[str, str] | None = None,
        options: Mapping[str, str | int | float | bool] | None = None,
        form_labels: Sequence[str] = (),
        is_complete: bool = True,
        is_answer_public: bool = False,
        alternative: Alternative | None = None,
    ):
        """`price_micros` is the price to confirm; `files` are the attachments already stored, SHA-256 by option.

        `options` replace those of the invocation. `form_labels` are the buttons of the question's form, one for each
        step; a question that is not complete has no button to confirm until the form is filled. A public command has a
        public result with `is_answer_public`. `alternative` is a second button that runs the command with its options
        changed, as if it was asked that way.
        """
        super().__init__(question)
        self.button_label = button_label
        self.price_micros = price_micros
        self.files = dict(files or {})
        self.options = None if options is None else dict(options)
        self.form_labels = tuple(form_labels)
        self.is_complete = is_complete
        self.is_answer_public = is_answer_public or bool(form_labels)
        self.alternative = alternative


class SubmitUnclear(EaselError):
    """A create request broke half-way: the backend may or may not run the prediction."""


class OutputGone(EaselError):
    """A file to fetch no longer exists."""


class Conflict(EaselError):
    """A unique row exists already."""


class DuplicateRequest(Conflict):
    """The request key has a job."""


class DuplicatePress(Conflict):
    """The press key has an open job."""


class AlreadyClaimed(Conflict):
    """The backend id belongs to another prediction."""


class DuplicateEntry(Conflict):
    """The ledger key was used."""


class Overdrawn(Conflict):
    """A ledger row would take an account below zero; the database refused the row."""


def new_reference() -> str:
    """Return six characters that a user can read out and an engineer can grep."""
    # The alphabet leaves out 0, 1, I, L, O and U: each is easily mistaken for another character.
    return "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(6))
