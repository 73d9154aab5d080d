"""One transaction: the stores, all speaking over the same connection."""

from bot.core.forgetting import ForgettingStore
from bot.core.pending import PendingStore
from bot.core.storage import (
    AuditStore,
    BooksStore,
    ConversationStore,
    InboxStore,
    InstallationStore,
    JobStore,
    LedgerStore,
    MessageStore,
    ModerationStore,
    OutputStore,
    PageStore,
    PeopleStore,
    PolicyStore,
    PredictionStore,
    RateStore,
    VisitorStore,
    WorkerStore,
)
from bot.storage.audit import SqlAuditStore
from bot.storage.books import SqlBooksStore
from bot.storage.conversations import SqlConversationStore
from bot.storage.forgetting import SqlForgettingStore
from bot.storage.inbox import SqlInboxStore
from bot.storage.installations import SqlInstallationStore
from bot.storage.jobs import SqlJobStore
from bot.storage.ledger import SqlLedgerStore
from bot.storage.messages import SqlMessageStore
from bot.storage.moderation import SqlModerationStore
from bot.storage.outputs import SqlOutputStore
from bot.storage.page import SqlPageStore
from bot.storage.pending import SqlPendingStore
from bot.storage.people import SqlPeopleStore
from bot.storage.policies import SqlPolicyStore
from bot.storage.predictions import SqlPredictionStore
from bot.storage.rates import SqlRateStore
from bot.storage.statements import Statements
from bot.storage.visitors import SqlVisitorStore
from bot.storage.workers import SqlWorkerStore


class SqlTransaction:
    """Implements `core.storage.Transaction`."""

    def __init__(self, statements: Statements) -> None:
        self.jobs: JobStore = SqlJobStore(statements)
        self.predictions: PredictionStore = SqlPredictionStore(statements)
        self.outputs: OutputStore = SqlOutputStore(statements)
        self.messages: MessageStore = SqlMessageStore(statements)
        self.ledger: LedgerStore = SqlLedgerStore(statements)
        self.policies: PolicyStore = SqlPolicyStore(statements)
        self.rates: RateStore = SqlRateStore(statements)
        self.books: BooksStore = SqlBooksStore(statements)
        self.people: PeopleStore = SqlPeopleStore(statements)
        self.moderation: ModerationStore = SqlModerationStore(statements)
        self.conversations: ConversationStore = SqlConversationStore(statements)
        self.workers: WorkerStore = SqlWorkerStore(statements)
        self.inbox: InboxStore = SqlInboxStore(statements)
        self.audit: AuditStore = SqlAuditStore(statements)
        self.pending: PendingStore = SqlPendingStore(statements)
        self.forgetting: ForgettingStore = SqlForgettingStore(statements)
        self.page: PageStore = SqlPageStore(statements)
        self.visitors: VisitorStore = SqlVisitorStore(statements)
        self.installations: InstallationStore = SqlInstallationStore(statements)
