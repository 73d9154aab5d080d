CREATE TABLE ledger_checkpoint (
	id TEXT NOT NULL, 
	entry INTEGER NOT NULL, 
	row_count BIGINT NOT NULL, 
	open_jobs JSON DEFAULT '[]' NOT NULL, 
	checked_at DATETIME NOT NULL, 
	completed_at DATETIME NOT NULL, 
	CONSTRAINT ledger_checkpoint_pkey PRIMARY KEY (id)
)

CREATE TABLE checkpoint_accounts (
	account TEXT NOT NULL, 
	balance_micros BIGINT NOT NULL, 
	held_micros BIGINT NOT NULL, 
	granted_micros BIGINT NOT NULL, 
	CONSTRAINT checkpoint_accounts_pkey PRIMARY KEY (account)
)
