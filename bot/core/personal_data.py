"""What the trunk asks of a database about data that is to be forgotten, because its time is up or its person says so.

Amounts stay: the ledger is never touched, and a forgotten job keeps what it cost, without a word of what was asked.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PersonKey:
    """Somebody as one platform knows them. An empty workspace stands for all of that platform's."""

    platform: str
    workspace: str
    id: str


@dataclass(frozen=True, slots=True)
class WorkspaceKey:
    """A workspace, as what is forgotten sooner than elsewhere hangs on it."""

    platform: str
    workspace: str
