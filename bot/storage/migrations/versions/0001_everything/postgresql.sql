CREATE TABLE accounts (
	id TEXT COLLATE "C" NOT NULL,
	kind TEXT COLLATE "C" DEFAULT '' NOT NULL,
	scope TEXT COLLATE "C" DEFAULT '' NOT NULL,
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL,
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	"user" TEXT COLLATE "C" DEFAULT '' NOT NULL,
	"window" TEXT COLLATE "C" DEFAULT '' NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	balance_micros BIGINT DEFAULT '0' NOT NULL,
	held_micros BIGINT DEFAULT '0' NOT NULL,
	granted_micros BIGINT DEFAULT '0' NOT NULL,
	last_entry BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT accounts_pkey PRIMARY KEY (id),
	CONSTRAINT accounts_kind CHECK (kind IN ('wallet', 'budget')),
	CONSTRAINT accounts_balance_not_negative CHECK (balance_micros >= 0),
	CONSTRAINT accounts_held_not_negative CHECK (held_micros >= 0),
	CONSTRAINT accounts_held_within_balance CHECK (held_micros <= balance_micros),
	CONSTRAINT accounts_balance_within_granted CHECK (balance_micros <= granted_micros)
)

CREATE TABLE audit (
	id BIGSERIAL NOT NULL,
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL,
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	actor TEXT COLLATE "C" DEFAULT '' NOT NULL,
	action TEXT COLLATE "C" DEFAULT '' NOT NULL,
	facts JSON DEFAULT '{}' NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT audit_pkey PRIMARY KEY (id)
)

CREATE INDEX audit_of_workspace ON audit (platform, workspace, at)

CREATE TABLE conversations (
	id TEXT COLLATE "C" NOT NULL,
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL,
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	channel TEXT COLLATE "C" DEFAULT '' NOT NULL,
	thread TEXT COLLATE "C" DEFAULT '' NOT NULL,
	is_reply_chain BOOLEAN DEFAULT false NOT NULL,
	model TEXT COLLATE "C" DEFAULT '' NOT NULL,
	system TEXT DEFAULT '' NOT NULL,
	starter TEXT COLLATE "C" DEFAULT '' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT conversations_pkey PRIMARY KEY (id)
)

CREATE UNIQUE INDEX conversations_place ON conversations (platform, workspace, channel, thread, is_reply_chain)

CREATE TABLE inbox (
	id TEXT COLLATE "C" NOT NULL,
	job TEXT COLLATE "C" DEFAULT '' NOT NULL,
	received_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT inbox_pkey PRIMARY KEY (id)
)

CREATE INDEX inbox_received_at ON inbox (received_at)

CREATE TABLE installations (
	platform TEXT COLLATE "C" NOT NULL,
	workspace TEXT COLLATE "C" NOT NULL,
	enterprise TEXT COLLATE "C" NOT NULL,
	secrets BYTEA,
	facts JSON DEFAULT '{}' NOT NULL,
	installed_by TEXT COLLATE "C" DEFAULT '' NOT NULL,
	installed_at TIMESTAMP WITH TIME ZONE NOT NULL,
	removed_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT installations_pkey PRIMARY KEY (platform, workspace, enterprise)
)

CREATE TABLE model_times (
	model TEXT COLLATE "C" NOT NULL,
	seconds FLOAT NOT NULL,
	CONSTRAINT model_times_pkey PRIMARY KEY (model)
)

CREATE TABLE page_messages (
	id TEXT COLLATE "C" NOT NULL,
	channel TEXT COLLATE "C" DEFAULT '' NOT NULL,
	"user" TEXT COLLATE "C" DEFAULT '' NOT NULL,
	job TEXT COLLATE "C" DEFAULT '' NOT NULL,
	is_from_bot BOOLEAN DEFAULT false NOT NULL,
	reply JSON DEFAULT '{}' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT page_messages_pkey PRIMARY KEY (id)
)

CREATE INDEX page_messages_of_channel ON page_messages (channel, created_at, id)

CREATE INDEX page_messages_of_user ON page_messages ("user", channel)

CREATE TABLE pauses (
	target TEXT COLLATE "C" NOT NULL,
	reason TEXT DEFAULT '' NOT NULL,
	by TEXT COLLATE "C" DEFAULT '' NOT NULL,
	CONSTRAINT pauses_pkey PRIMARY KEY (target)
)

CREATE TABLE pending (
	id TEXT COLLATE "C" NOT NULL,
	kind TEXT COLLATE "C" DEFAULT '' NOT NULL,
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL,
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	channel TEXT COLLATE "C" DEFAULT '' NOT NULL,
	"user" TEXT COLLATE "C" DEFAULT '' NOT NULL,
	facts JSON DEFAULT '{}' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pending_pkey PRIMARY KEY (id)
)

CREATE INDEX pending_expires_at ON pending (expires_at)

CREATE TABLE policies (
	platform TEXT COLLATE "C" NOT NULL,
	workspace TEXT COLLATE "C" NOT NULL,
	scope TEXT COLLATE "C" NOT NULL,
	scope_id TEXT COLLATE "C" NOT NULL,
	key TEXT COLLATE "C" NOT NULL,
	value JSON DEFAULT 'null' NOT NULL,
	by TEXT COLLATE "C" DEFAULT '' NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT policies_pkey PRIMARY KEY (platform, workspace, scope, scope_id, key),
	CONSTRAINT policies_scope CHECK (scope IN ('bot', 'workspace', 'channel', 'role', 'user'))
)

CREATE TABLE predictions (
	id TEXT COLLATE "C" NOT NULL,
	backend TEXT COLLATE "C" DEFAULT '' NOT NULL,
	backend_id TEXT COLLATE "C" DEFAULT '' NOT NULL,
	model TEXT COLLATE "C" DEFAULT '' NOT NULL,
	fingerprint TEXT COLLATE "C" DEFAULT '' NOT NULL,
	inputs JSON DEFAULT '{}' NOT NULL,
	state TEXT COLLATE "C" DEFAULT '' NOT NULL,
	predict_seconds FLOAT,
	cost_micros BIGINT,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	submitted_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT predictions_pkey PRIMARY KEY (id),
	CONSTRAINT predictions_cost_not_negative CHECK (cost_micros >= 0),
	CONSTRAINT predictions_seconds_not_negative CHECK (predict_seconds >= 0)
)

CREATE UNIQUE INDEX predictions_backend_id ON predictions (backend, backend_id) WHERE backend_id <> ''

CREATE INDEX predictions_fingerprint ON predictions (fingerprint)

CREATE TABLE rate_limits (
	key TEXT COLLATE "C" NOT NULL,
	free_at FLOAT NOT NULL,
	CONSTRAINT rate_limits_pkey PRIMARY KEY (key)
)

CREATE TABLE refused_words (
	platform TEXT COLLATE "C" NOT NULL,
	workspace TEXT COLLATE "C" NOT NULL,
	word TEXT NOT NULL,
	by TEXT COLLATE "C" DEFAULT '' NOT NULL,
	CONSTRAINT refused_words_pkey PRIMARY KEY (platform, workspace, word)
)

CREATE TABLE users (
	platform TEXT COLLATE "C" NOT NULL,
	workspace TEXT COLLATE "C" NOT NULL,
	id TEXT COLLATE "C" NOT NULL,
	name TEXT DEFAULT '' NOT NULL,
	name_folded TEXT DEFAULT '' NOT NULL,
	locale TEXT COLLATE "C" DEFAULT '' NOT NULL,
	blocked_until TIMESTAMP WITH TIME ZONE,
	block_reason TEXT DEFAULT '' NOT NULL,
	seen_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT users_pkey PRIMARY KEY (platform, workspace, id)
)

CREATE INDEX users_name ON users (platform, workspace, name_folded)

CREATE TABLE visitors (
	id TEXT COLLATE "C" NOT NULL,
	name TEXT DEFAULT '' NOT NULL,
	name_folded TEXT DEFAULT '' NOT NULL,
	rank TEXT COLLATE "C" DEFAULT '' NOT NULL,
	invited_at TIMESTAMP WITH TIME ZONE NOT NULL,
	joined_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT visitors_pkey PRIMARY KEY (id),
	CONSTRAINT visitors_rank CHECK (rank IN ('user', 'moderator', 'owner'))
)

CREATE UNIQUE INDEX visitors_name ON visitors (name_folded)

CREATE TABLE workers (
	id TEXT COLLATE "C" NOT NULL,
	beat_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT workers_pkey PRIMARY KEY (id)
)

CREATE TABLE workspaces (
	platform TEXT COLLATE "C" NOT NULL,
	id TEXT COLLATE "C" NOT NULL,
	is_allowed BOOLEAN DEFAULT false NOT NULL,
	allowed_at TIMESTAMP WITH TIME ZONE,
	removed_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT workspaces_pkey PRIMARY KEY (platform, id)
)

CREATE TABLE jobs (
	id TEXT COLLATE "C" NOT NULL,
	request_key TEXT COLLATE "C" DEFAULT '' NOT NULL,
	press_key TEXT COLLATE "C" DEFAULT '' NOT NULL,
	parent_job TEXT COLLATE "C" DEFAULT '' NOT NULL,
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL,
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	channel TEXT COLLATE "C" DEFAULT '' NOT NULL,
	thread TEXT COLLATE "C" DEFAULT '' NOT NULL,
	is_age_restricted BOOLEAN DEFAULT false NOT NULL,
	is_reply_chain BOOLEAN DEFAULT false NOT NULL,
	"user" TEXT COLLATE "C" DEFAULT '' NOT NULL,
	user_workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	user_name TEXT DEFAULT '' NOT NULL,
	locale TEXT COLLATE "C" DEFAULT '' NOT NULL,
	roles JSON DEFAULT '[]' NOT NULL,
	is_administrator BOOLEAN DEFAULT false NOT NULL,
	command TEXT COLLATE "C" DEFAULT '' NOT NULL,
	options JSON DEFAULT '{}' NOT NULL,
	model TEXT COLLATE "C" DEFAULT '' NOT NULL,
	backend TEXT COLLATE "C" DEFAULT '' NOT NULL,
	inputs JSON DEFAULT '{}' NOT NULL,
	prediction TEXT COLLATE "C",
	conversation TEXT COLLATE "C" DEFAULT '' NOT NULL,
	state TEXT COLLATE "C" DEFAULT '' NOT NULL,
	is_private BOOLEAN DEFAULT false NOT NULL,
	estimate_micros BIGINT DEFAULT '0' NOT NULL,
	max_micros BIGINT DEFAULT '0' NOT NULL,
	cost_micros BIGINT,
	weight INTEGER DEFAULT '1' NOT NULL,
	queue_time FLOAT,
	reuse_key TEXT COLLATE "C" DEFAULT '' NOT NULL,
	reuses TEXT COLLATE "C" DEFAULT '' NOT NULL,
	owner TEXT COLLATE "C" DEFAULT '' NOT NULL,
	epoch INTEGER DEFAULT '0' NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	run_after TIMESTAMP WITH TIME ZONE,
	cancel_by TEXT COLLATE "C" DEFAULT '' NOT NULL,
	error TEXT DEFAULT '' NOT NULL,
	notified_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	erased_at TIMESTAMP WITH TIME ZONE,
	steps TEXT DEFAULT '' NOT NULL,
	CONSTRAINT jobs_pkey PRIMARY KEY (id),
	CONSTRAINT jobs_state CHECK (state IN ('accepted', 'queued', 'submitting', 'running', 'finished', 'failed', 'cancelled', 'delivered', 'undeliverable')),
	CONSTRAINT jobs_estimate_not_negative CHECK (estimate_micros >= 0 AND max_micros >= 0),
	CONSTRAINT jobs_cost_not_negative CHECK (cost_micros >= 0),
	CONSTRAINT jobs_weight_not_negative CHECK (weight >= 0),
	CONSTRAINT jobs_prediction_fkey FOREIGN KEY(prediction) REFERENCES predictions (id)
)

CREATE INDEX jobs_not_erased ON jobs (created_at) WHERE erased_at IS NULL

CREATE INDEX jobs_of_channel ON jobs (platform, workspace, channel, created_at)

CREATE INDEX jobs_of_prediction ON jobs (prediction)

CREATE INDEX jobs_of_user ON jobs (platform, user_workspace, "user", created_at)

CREATE INDEX jobs_open ON jobs (owner) WHERE state IN ('accepted', 'queued', 'submitting', 'running')

CREATE UNIQUE INDEX jobs_press_key ON jobs (press_key) WHERE press_key <> '' AND state IN ('accepted', 'queued', 'submitting', 'running')

CREATE UNIQUE INDEX jobs_request_key ON jobs (request_key)

CREATE INDEX jobs_reuse_key ON jobs (platform, workspace, reuse_key) WHERE reuse_key <> ''

CREATE INDEX jobs_unfinished ON jobs (created_at) WHERE (state IN ('accepted', 'queued', 'submitting', 'running', 'finished') OR state IN ('failed', 'cancelled') AND notified_at IS NULL)

CREATE TABLE ledger (
	id BIGSERIAL NOT NULL,
	account TEXT COLLATE "C" NOT NULL,
	job TEXT COLLATE "C" DEFAULT '' NOT NULL,
	kind TEXT COLLATE "C" DEFAULT '' NOT NULL,
	balance_delta_micros BIGINT NOT NULL,
	held_delta_micros BIGINT NOT NULL,
	key TEXT COLLATE "C" NOT NULL,
	actor TEXT COLLATE "C" DEFAULT '' NOT NULL,
	prediction TEXT COLLATE "C" DEFAULT '' NOT NULL,
	reason TEXT DEFAULT '' NOT NULL,
	reset_period TEXT COLLATE "C" DEFAULT '' NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT ledger_pkey PRIMARY KEY (id),
	CONSTRAINT ledger_kind CHECK (kind IN ('grant', 'adjust', 'hold', 'settle', 'release', 'expire', 'reset')),
	CONSTRAINT ledger_reset_period CHECK (reset_period = '' OR reset_period IN ('day', 'month')),
	CONSTRAINT ledger_shape CHECK (CASE kind WHEN 'grant' THEN balance_delta_micros >= 0 AND held_delta_micros = 0 AND job = '' WHEN 'adjust' THEN held_delta_micros = 0 WHEN 'hold' THEN balance_delta_micros = 0 AND held_delta_micros >= 0 AND job <> '' WHEN 'settle' THEN held_delta_micros <= balance_delta_micros AND balance_delta_micros <= 0 AND job <> '' WHEN 'release' THEN balance_delta_micros = 0 AND held_delta_micros <= 0 AND job <> '' WHEN 'expire' THEN balance_delta_micros <= 0 AND held_delta_micros = 0 WHEN 'reset' THEN balance_delta_micros >= 0 AND held_delta_micros = 0 AND job = '' ELSE false END),
	CONSTRAINT ledger_account_fkey FOREIGN KEY(account) REFERENCES accounts (id)
)

CREATE INDEX ledger_account ON ledger (account)

CREATE UNIQUE INDEX ledger_close_once ON ledger (job, account) WHERE kind IN ('settle', 'release')

CREATE UNIQUE INDEX ledger_hold_once ON ledger (job, account) WHERE kind = 'hold'

CREATE INDEX ledger_job ON ledger (job)

CREATE UNIQUE INDEX ledger_key ON ledger (key)

CREATE INDEX ledger_of_actor ON ledger (actor, at) WHERE kind = 'hold'

CREATE TABLE outputs (
	prediction TEXT COLLATE "C" NOT NULL,
	n INTEGER NOT NULL,
	sha256 TEXT COLLATE "C" DEFAULT '' NOT NULL,
	mime TEXT COLLATE "C" DEFAULT '' NOT NULL,
	size_bytes BIGINT DEFAULT '0' NOT NULL,
	width INTEGER DEFAULT '0' NOT NULL,
	height INTEGER DEFAULT '0' NOT NULL,
	text TEXT DEFAULT '' NOT NULL,
	alt TEXT DEFAULT '' NOT NULL,
	is_flagged BOOLEAN DEFAULT false NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT outputs_pkey PRIMARY KEY (prediction, n),
	CONSTRAINT outputs_not_negative CHECK (n >= 1 AND size_bytes >= 0 AND width >= 0 AND height >= 0),
	CONSTRAINT outputs_prediction_fkey FOREIGN KEY(prediction) REFERENCES predictions (id) ON DELETE CASCADE
)

CREATE INDEX outputs_expires_at ON outputs (expires_at)

CREATE INDEX outputs_sha256 ON outputs (sha256)

CREATE TABLE turns (
	id TEXT COLLATE "C" NOT NULL,
	conversation TEXT COLLATE "C" NOT NULL,
	parent TEXT COLLATE "C" DEFAULT '' NOT NULL,
	job TEXT COLLATE "C" DEFAULT '' NOT NULL,
	role TEXT COLLATE "C" DEFAULT '' NOT NULL,
	"user" TEXT COLLATE "C" DEFAULT '' NOT NULL,
	text TEXT DEFAULT '' NOT NULL,
	files JSON DEFAULT '[]' NOT NULL,
	platform_message TEXT COLLATE "C" DEFAULT '' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT turns_pkey PRIMARY KEY (id),
	CONSTRAINT turns_role CHECK (role IN ('user', 'assistant')),
	CONSTRAINT turns_conversation_fkey FOREIGN KEY(conversation) REFERENCES conversations (id) ON DELETE CASCADE
)

CREATE UNIQUE INDEX turns_job_role ON turns (job, role) WHERE job <> ''

CREATE INDEX turns_of_conversation ON turns (conversation, created_at, id)

CREATE UNIQUE INDEX turns_platform_message ON turns (conversation, platform_message) WHERE platform_message <> ''

CREATE TABLE visitor_keys (
	sha256 TEXT COLLATE "C" NOT NULL,
	visitor TEXT COLLATE "C" NOT NULL,
	is_invitation BOOLEAN DEFAULT false NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT visitor_keys_pkey PRIMARY KEY (sha256),
	CONSTRAINT visitor_keys_visitor_fkey FOREIGN KEY(visitor) REFERENCES visitors (id) ON DELETE CASCADE
)

CREATE INDEX visitor_keys_of_visitor ON visitor_keys (visitor)

CREATE TABLE messages (
	job TEXT COLLATE "C" NOT NULL,
	part INTEGER NOT NULL,
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL,
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	channel TEXT COLLATE "C" DEFAULT '' NOT NULL,
	thread TEXT COLLATE "C" DEFAULT '' NOT NULL,
	message TEXT COLLATE "C" DEFAULT '' NOT NULL,
	token TEXT DEFAULT '' NOT NULL,
	token_expires_at TIMESTAMP WITH TIME ZONE,
	unposted_for TEXT COLLATE "C" DEFAULT '' NOT NULL,
	unposted_for_workspace TEXT COLLATE "C" DEFAULT '' NOT NULL,
	is_original_response BOOLEAN DEFAULT false NOT NULL,
	notes JSON DEFAULT '{}' NOT NULL,
	state TEXT COLLATE "C" DEFAULT '' NOT NULL,
	start INTEGER DEFAULT '0' NOT NULL,
	"end" INTEGER DEFAULT '0' NOT NULL,
	opening TEXT DEFAULT '' NOT NULL,
	CONSTRAINT messages_pkey PRIMARY KEY (job, part),
	CONSTRAINT messages_state CHECK (state IN ('posted', 'closed', 'final')),
	CONSTRAINT messages_range CHECK (part >= 0 AND start >= 0 AND "end" >= 0),
	CONSTRAINT messages_job_fkey FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX messages_address ON messages (platform, workspace, channel, message)

CREATE INDEX messages_token ON messages (token_expires_at) WHERE token <> ''

CREATE FUNCTION ledger_close_equals_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF
    NOT EXISTS (SELECT 1 FROM ledger AS hold WHERE hold.kind = 'hold' AND hold.job = NEW.job
                AND hold.account = NEW.account AND hold.held_delta_micros = -NEW.held_delta_micros) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: a close must equal its hold';
    END IF;
    RETURN NEW;
END$$

CREATE FUNCTION ledger_moves_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts SET balance_micros = balance_micros + NEW.balance_delta_micros,
        held_micros = held_micros + NEW.held_delta_micros,
        granted_micros = granted_micros
            + CASE WHEN NEW.kind IN ('grant', 'adjust') THEN NEW.balance_delta_micros ELSE 0 END,
        last_entry = NEW.id
    WHERE id = NEW.account;
    RETURN NULL;
END$$

CREATE FUNCTION ledger_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: its rows are final';
END$$

CREATE FUNCTION accounts_start_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: an account starts empty';
END$$

CREATE FUNCTION accounts_moved_by_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id <> OLD.id OR
    NEW.last_entry = OLD.last_entry OR NOT EXISTS (
        SELECT 1 FROM ledger WHERE id = NEW.last_entry AND account = NEW.id
        AND NEW.balance_micros = OLD.balance_micros + balance_delta_micros
        AND NEW.held_micros = OLD.held_micros + held_delta_micros
        AND NEW.granted_micros = OLD.granted_micros
            + CASE WHEN kind IN ('grant', 'adjust') THEN balance_delta_micros ELSE 0 END) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: money moves by its rows only';
    END IF;
    RETURN NEW;
END$$

CREATE TRIGGER ledger_close_equals_hold BEFORE INSERT ON ledger FOR EACH ROW WHEN (NEW.kind IN ('settle', 'release')) EXECUTE FUNCTION ledger_close_equals_hold()

CREATE TRIGGER ledger_moves_account AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_moves_account()

CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_is_final()

CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_final()

CREATE TRIGGER accounts_start_empty BEFORE INSERT ON accounts FOR EACH ROW WHEN (NEW.balance_micros <> 0 OR NEW.held_micros <> 0 OR NEW.granted_micros <> 0 OR NEW.last_entry <> 0) EXECUTE FUNCTION accounts_start_empty()

CREATE TRIGGER accounts_moved_by_ledger BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, last_entry ON accounts FOR EACH ROW EXECUTE FUNCTION accounts_moved_by_ledger()
