CREATE INDEX jobs_of_person ON jobs (platform, "user", created_at, id, user_workspace)

CREATE INDEX jobs_of_workspace ON jobs (platform, user_workspace, created_at, "user", cost_micros, state)

CREATE INDEX jobs_open_of_user ON jobs (platform, user_workspace, "user", created_at) WHERE state IN ('accepted', 'queued', 'submitting', 'running')

CREATE INDEX jobs_of_conversation ON jobs (conversation) WHERE conversation <> ''

CREATE INDEX messages_of_address ON messages (platform, message, channel, workspace)

CREATE INDEX accounts_of_person ON accounts (platform, "user")

CREATE INDEX ledger_of_account ON ledger (account, at)

CREATE INDEX conversations_of_starter ON conversations (starter)

CREATE INDEX turns_created_at ON turns (created_at)

CREATE INDEX turns_of_person ON turns ("user", created_at, id) WHERE "user" <> ''

DROP INDEX jobs_of_user

DROP INDEX messages_address

DROP INDEX ledger_account
