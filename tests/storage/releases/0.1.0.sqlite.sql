BEGIN TRANSACTION;
CREATE TABLE accounts (
	id TEXT NOT NULL, 
	kind TEXT DEFAULT '' NOT NULL, 
	scope TEXT DEFAULT '' NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	user TEXT DEFAULT '' NOT NULL, 
	window TEXT DEFAULT '' NOT NULL, 
	expires_at DATETIME, 
	balance_micros BIGINT DEFAULT '0' NOT NULL, 
	held_micros BIGINT DEFAULT '0' NOT NULL, 
	granted_micros BIGINT DEFAULT '0' NOT NULL, 
	last_entry INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT accounts_pkey PRIMARY KEY (id), 
	CONSTRAINT accounts_kind CHECK (kind IN ('wallet', 'budget')), 
	CONSTRAINT accounts_balance_not_negative CHECK (balance_micros >= 0), 
	CONSTRAINT accounts_held_not_negative CHECK (held_micros >= 0), 
	CONSTRAINT accounts_held_within_balance CHECK (held_micros <= balance_micros), 
	CONSTRAINT accounts_balance_within_granted CHECK (balance_micros <= granted_micros)
);
INSERT INTO "accounts" VALUES('wallet:daily:web:ana:2026-01-01','wallet','daily','web','','ana','2026-01-01','2026-01-02 00:00:00.000000',93995,0,100000,14);
INSERT INTO "accounts" VALUES('wallet:granted:web:page:ana','wallet','granted','web','page','ana','',NULL,50000,0,50000,16);
INSERT INTO "accounts" VALUES('budget:bot:2026-01','budget','bot','','','','2026-01','2026-02-01 00:00:00.000000',9993995,0,10000000,15);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	actor TEXT DEFAULT '' NOT NULL, 
	action TEXT DEFAULT '' NOT NULL, 
	facts JSON DEFAULT '{}' NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT audit_pkey PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,'web','page','web:page:owner','credits.grant','{"to": "ana", "micros": 50000}','2026-01-01 00:00:00.000000');
INSERT INTO "audit" VALUES(2,'web','page','web:page:owner','policy.changed','{"scope": "user", "id": "ana", "before": {"user_month_micros": null}, "after": {"user_month_micros": 900000}}','2026-01-01 00:00:00.000000');
INSERT INTO "audit" VALUES(3,'web','page','web:page:owner','policy.changed','{"scope": "role", "id": "gold", "before": {"daily_allowance_micros": null}, "after": {"daily_allowance_micros": 300000}}','2026-01-01 00:00:00.000000');
INSERT INTO "audit" VALUES(4,'web','page','web:page:owner','policy.changed','{"scope": "workspace", "id": "", "before": {"setting:time_zone": null, "setting:retention_days": null}, "after": {"setting:time_zone": "Europe/Berlin", "setting:retention_days": 7}}','2026-01-01 00:00:00.000000');
INSERT INTO "audit" VALUES(5,'web','page','web:page:owner','policy.changed','{"scope": "workspace", "id": "", "before": {"setting:system_prompt": null}, "after": {"setting:system_prompt": "You are a patient teacher."}}','2026-01-01 00:00:00.000000');
INSERT INTO "audit" VALUES(6,'web','page','web:page:owner','words.added','{"word": "wolf"}','2026-01-01 00:00:00.000000');
CREATE TABLE conversations (
	id TEXT NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	channel TEXT DEFAULT '' NOT NULL, 
	thread TEXT DEFAULT '' NOT NULL, 
	is_reply_chain BOOLEAN DEFAULT 0 NOT NULL, 
	model TEXT DEFAULT '' NOT NULL, 
	system TEXT DEFAULT '' NOT NULL, 
	starter TEXT DEFAULT '' NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT conversations_pkey PRIMARY KEY (id)
);
INSERT INTO "conversations" VALUES('06h2wfkhyt7wrajef0ez','web','page','c1','',0,'llama-3-8b','You are Easel, a helpful guest in a group chat. Answer briefly, in the language of the question.','web:ana','2026-01-01 00:00:00.000000');
CREATE TABLE inbox (
	id TEXT NOT NULL, 
	job TEXT DEFAULT '' NOT NULL, 
	received_at DATETIME NOT NULL, 
	CONSTRAINT inbox_pkey PRIMARY KEY (id)
);
CREATE TABLE installations (
	platform TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	enterprise TEXT NOT NULL, 
	secrets BLOB, 
	facts JSON DEFAULT '{}' NOT NULL, 
	installed_by TEXT DEFAULT '' NOT NULL, 
	installed_at DATETIME NOT NULL, 
	removed_at DATETIME, 
	CONSTRAINT installations_pkey PRIMARY KEY (platform, workspace, enterprise)
);
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	request_key TEXT DEFAULT '' NOT NULL, 
	press_key TEXT DEFAULT '' NOT NULL, 
	parent_job TEXT DEFAULT '' NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	channel TEXT DEFAULT '' NOT NULL, 
	thread TEXT DEFAULT '' NOT NULL, 
	is_age_restricted BOOLEAN DEFAULT 0 NOT NULL, 
	is_reply_chain BOOLEAN DEFAULT 0 NOT NULL, 
	user TEXT DEFAULT '' NOT NULL, 
	user_workspace TEXT DEFAULT '' NOT NULL, 
	user_name TEXT DEFAULT '' NOT NULL, 
	locale TEXT DEFAULT '' NOT NULL, 
	roles JSON DEFAULT '[]' NOT NULL, 
	is_administrator BOOLEAN DEFAULT 0 NOT NULL, 
	command TEXT DEFAULT '' NOT NULL, 
	options JSON DEFAULT '{}' NOT NULL, 
	model TEXT DEFAULT '' NOT NULL, 
	backend TEXT DEFAULT '' NOT NULL, 
	inputs JSON DEFAULT '{}' NOT NULL, 
	prediction TEXT, 
	conversation TEXT DEFAULT '' NOT NULL, 
	state TEXT DEFAULT '' NOT NULL, 
	is_private BOOLEAN DEFAULT 0 NOT NULL, 
	estimate_micros BIGINT DEFAULT '0' NOT NULL, 
	max_micros BIGINT DEFAULT '0' NOT NULL, 
	cost_micros BIGINT, 
	weight INTEGER DEFAULT '1' NOT NULL, 
	queue_time FLOAT, 
	reuse_key TEXT DEFAULT '' NOT NULL, 
	reuses TEXT DEFAULT '' NOT NULL, 
	owner TEXT DEFAULT '' NOT NULL, 
	epoch INTEGER DEFAULT '0' NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	run_after DATETIME, 
	cancel_by TEXT DEFAULT '' NOT NULL, 
	error TEXT DEFAULT '' NOT NULL, 
	notified_at DATETIME, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	erased_at DATETIME, 
	steps TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT jobs_pkey PRIMARY KEY (id), 
	CONSTRAINT jobs_state CHECK (state IN ('accepted', 'queued', 'submitting', 'running', 'finished', 'failed', 'cancelled', 'delivered', 'undeliverable')), 
	CONSTRAINT jobs_estimate_not_negative CHECK (estimate_micros >= 0 AND max_micros >= 0), 
	CONSTRAINT jobs_cost_not_negative CHECK (cost_micros >= 0), 
	CONSTRAINT jobs_weight_not_negative CHECK (weight >= 0), 
	CONSTRAINT jobs_prediction_fkey FOREIGN KEY(prediction) REFERENCES predictions (id)
);
INSERT INTO "jobs" VALUES('06h2wfkhaw2shdgjr6cq','web:1','','','web','page','c1','',0,0,'ana','page','Ana','en','[]',0,'imagine','{"prompt": "a fox in the snow", "aspect": null, "count": 2, "seed": 7, "negative": null, "steps": null, "guidance": null, "format": null, "image": null, "strength": null, "model": "flux-schnell"}','flux-schnell','replicate','{"go_fast": false, "prompt": "a fox in the snow", "num_outputs": 2, "seed": 7, "output_format": "png"}','06h2wfkhh8abrc7a8nd2','','delivered',0,6000,6000,6000,1,0.0,'1423ca8aa5180fcfa224c33ac8630388f7fca17350822f70b8e16a7a78fbd710','','vm:90e2e335e08b',0,0,NULL,'','','2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000',NULL,'accepted 2026-01-01T00:00:00+00:00
queued 2026-01-01T00:00:00+00:00
submitting 2026-01-01T00:00:00+00:00
running 2026-01-01T00:00:00+00:00
finished 2026-01-01T00:00:00+00:00
delivered 2026-01-01T00:00:00+00:00
');
INSERT INTO "jobs" VALUES('06h2wfkhyrsfs8hc6mpf','web:2','','','web','page','c1','',0,0,'ana','page','Ana','en','[]',0,'chat','{"message": "What is a rainbow?", "model": "llama-3-8b", "system": null, "temperature": null, "max_tokens": 1024, "image": null, "answers": "06h2wfkhyrgs36hew76z"}','llama-3-8b','replicate','{"prompt_template": "{prompt}", "prompt": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are Easel, a helpful guest in a group chat. Answer briefly, in the language of the question.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhat is a rainbow?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "max_tokens": 1024}','06h2wfkhzd0wxp98grfn','06h2wfkhyt7wrajef0ez','delivered',0,132,271,5,1,1.0,'','','vm:90e2e335e08b',0,0,NULL,'','','2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000',NULL,'accepted 2026-01-01T00:00:00+00:00
queued 2026-01-01T00:00:00+00:00
submitting 2026-01-01T00:00:00+00:00
running 2026-01-01T00:00:00+00:00
finished 2026-01-01T00:00:00+00:00
delivered 2026-01-01T00:00:00+00:00
');
INSERT INTO "jobs" VALUES('06h2wfkj04zcj9v6gvk0','web:3','','','web','page','c1','',0,0,'ana','page','Ana','en','[]',0,'imagine','{"prompt": "a wolf in the rain", "aspect": null, "count": 1, "seed": null, "negative": null, "steps": null, "guidance": null, "format": null, "image": null, "strength": null, "model": "flux-schnell"}','flux-schnell','replicate','{"go_fast": false, "prompt": "a wolf in the rain", "num_outputs": 1, "seed": 129589334, "output_format": "png"}','06h2wfkj0nmwqfxftt4f','','failed',0,3000,3000,0,1,2.0,'','','vm:90e2e335e08b',0,0,NULL,'','The model failed: CUDA out of memory. You were not charged.','2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000',NULL,'accepted 2026-01-01T00:00:00+00:00
queued 2026-01-01T00:00:00+00:00
submitting 2026-01-01T00:00:00+00:00
running 2026-01-01T00:00:00+00:00
failed 2026-01-01T00:00:00+00:00
');
CREATE TABLE ledger (
	id INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	job TEXT DEFAULT '' NOT NULL, 
	kind TEXT DEFAULT '' NOT NULL, 
	balance_delta_micros BIGINT NOT NULL, 
	held_delta_micros BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	actor TEXT DEFAULT '' NOT NULL, 
	prediction TEXT DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	reset_period TEXT DEFAULT '' NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT ledger_pkey PRIMARY KEY (id), 
	CONSTRAINT ledger_kind CHECK (kind IN ('grant', 'adjust', 'hold', 'settle', 'release', 'expire', 'reset')), 
	CONSTRAINT ledger_reset_period CHECK (reset_period = '' OR reset_period IN ('day', 'month')), 
	CONSTRAINT ledger_shape CHECK (CASE kind WHEN 'grant' THEN balance_delta_micros >= 0 AND held_delta_micros = 0 AND job = '' WHEN 'adjust' THEN held_delta_micros = 0 WHEN 'hold' THEN balance_delta_micros = 0 AND held_delta_micros >= 0 AND job <> '' WHEN 'settle' THEN held_delta_micros <= balance_delta_micros AND balance_delta_micros <= 0 AND job <> '' WHEN 'release' THEN balance_delta_micros = 0 AND held_delta_micros <= 0 AND job <> '' WHEN 'expire' THEN balance_delta_micros <= 0 AND held_delta_micros = 0 WHEN 'reset' THEN balance_delta_micros >= 0 AND held_delta_micros = 0 AND job = '' ELSE false END), 
	CONSTRAINT ledger_account_fkey FOREIGN KEY(account) REFERENCES accounts (id)
);
INSERT INTO "ledger" VALUES(1,'wallet:daily:web:ana:2026-01-01','','grant',100000,0,'daily:web:ana:2026-01-01','policy','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(2,'wallet:granted:web:page:ana','','grant',0,0,'open:wallet:granted:web:page:ana','policy','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(3,'budget:bot:2026-01','','grant',10000000,0,'open:budget:bot:2026-01','policy','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(4,'wallet:daily:web:ana:2026-01-01','06h2wfkhaw2shdgjr6cq','hold',0,6000,'hold:06h2wfkhaw2shdgjr6cq:wallet:daily:web:ana:2026-01-01','web:page:ana','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(5,'budget:bot:2026-01','06h2wfkhaw2shdgjr6cq','hold',0,6000,'hold:06h2wfkhaw2shdgjr6cq:budget:bot:2026-01','web:page:ana','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(6,'wallet:daily:web:ana:2026-01-01','06h2wfkhaw2shdgjr6cq','settle',-6000,-6000,'close:06h2wfkhaw2shdgjr6cq:wallet:daily:web:ana:2026-01-01','bot','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(7,'budget:bot:2026-01','06h2wfkhaw2shdgjr6cq','settle',-6000,-6000,'close:06h2wfkhaw2shdgjr6cq:budget:bot:2026-01','bot','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(8,'wallet:daily:web:ana:2026-01-01','06h2wfkhyrsfs8hc6mpf','hold',0,271,'hold:06h2wfkhyrsfs8hc6mpf:wallet:daily:web:ana:2026-01-01','web:page:ana','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(9,'budget:bot:2026-01','06h2wfkhyrsfs8hc6mpf','hold',0,271,'hold:06h2wfkhyrsfs8hc6mpf:budget:bot:2026-01','web:page:ana','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(10,'wallet:daily:web:ana:2026-01-01','06h2wfkhyrsfs8hc6mpf','settle',-5,-271,'close:06h2wfkhyrsfs8hc6mpf:wallet:daily:web:ana:2026-01-01','bot','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(11,'budget:bot:2026-01','06h2wfkhyrsfs8hc6mpf','settle',-5,-271,'close:06h2wfkhyrsfs8hc6mpf:budget:bot:2026-01','bot','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(12,'wallet:daily:web:ana:2026-01-01','06h2wfkj04zcj9v6gvk0','hold',0,3000,'hold:06h2wfkj04zcj9v6gvk0:wallet:daily:web:ana:2026-01-01','web:page:ana','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(13,'budget:bot:2026-01','06h2wfkj04zcj9v6gvk0','hold',0,3000,'hold:06h2wfkj04zcj9v6gvk0:budget:bot:2026-01','web:page:ana','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(14,'wallet:daily:web:ana:2026-01-01','06h2wfkj04zcj9v6gvk0','release',0,-3000,'close:06h2wfkj04zcj9v6gvk0:wallet:daily:web:ana:2026-01-01','bot','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(15,'budget:bot:2026-01','06h2wfkj04zcj9v6gvk0','release',0,-3000,'close:06h2wfkj04zcj9v6gvk0:budget:bot:2026-01','bot','','','','2026-01-01 00:00:00.000000');
INSERT INTO "ledger" VALUES(16,'wallet:granted:web:page:ana','','grant',50000,0,'grant:web:4','web:page:owner','','','','2026-01-01 00:00:00.000000');
CREATE TABLE messages (
	job TEXT NOT NULL, 
	part INTEGER NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	channel TEXT DEFAULT '' NOT NULL, 
	thread TEXT DEFAULT '' NOT NULL, 
	message TEXT DEFAULT '' NOT NULL, 
	token TEXT DEFAULT '' NOT NULL, 
	token_expires_at DATETIME, 
	unposted_for TEXT DEFAULT '' NOT NULL, 
	unposted_for_workspace TEXT DEFAULT '' NOT NULL, 
	is_original_response BOOLEAN DEFAULT 0 NOT NULL, 
	notes JSON DEFAULT '{}' NOT NULL, 
	state TEXT DEFAULT '' NOT NULL, 
	start INTEGER DEFAULT '0' NOT NULL, 
	"end" INTEGER DEFAULT '0' NOT NULL, 
	opening TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT messages_pkey PRIMARY KEY (job, part), 
	CONSTRAINT messages_state CHECK (state IN ('posted', 'closed', 'final')), 
	CONSTRAINT messages_range CHECK (part >= 0 AND start >= 0 AND "end" >= 0), 
	CONSTRAINT messages_job_fkey FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES('06h2wfkhaw2shdgjr6cq',0,'web','page','c1','','06h2wfkhaw2shdgjr6cq:0','',NULL,'','',0,'{}','final',0,0,'');
INSERT INTO "messages" VALUES('06h2wfkhyrsfs8hc6mpf',0,'web','page','c1','','06h2wfkhyrsfs8hc6mpf:0','',NULL,'','',0,'{}','final',0,15,'');
INSERT INTO "messages" VALUES('06h2wfkj04zcj9v6gvk0',0,'web','page','c1','','06h2wfkj04zcj9v6gvk0:0','',NULL,'','',0,'{}','final',0,61,'');
CREATE TABLE model_times (
	model TEXT NOT NULL, 
	seconds FLOAT NOT NULL, 
	CONSTRAINT model_times_pkey PRIMARY KEY (model)
);
INSERT INTO "model_times" VALUES('flux-schnell',1.5);
INSERT INTO "model_times" VALUES('llama-3-8b',1.5);
CREATE TABLE outputs (
	prediction TEXT NOT NULL, 
	n INTEGER NOT NULL, 
	sha256 TEXT DEFAULT '' NOT NULL, 
	mime TEXT DEFAULT '' NOT NULL, 
	size_bytes BIGINT DEFAULT '0' NOT NULL, 
	width INTEGER DEFAULT '0' NOT NULL, 
	height INTEGER DEFAULT '0' NOT NULL, 
	text TEXT DEFAULT '' NOT NULL, 
	alt TEXT DEFAULT '' NOT NULL, 
	is_flagged BOOLEAN DEFAULT 0 NOT NULL, 
	expires_at DATETIME, 
	CONSTRAINT outputs_pkey PRIMARY KEY (prediction, n), 
	CONSTRAINT outputs_not_negative CHECK (n >= 1 AND size_bytes >= 0 AND width >= 0 AND height >= 0), 
	CONSTRAINT outputs_prediction_fkey FOREIGN KEY(prediction) REFERENCES predictions (id) ON DELETE CASCADE
);
INSERT INTO "outputs" VALUES('06h2wfkhh8abrc7a8nd2',1,'6ab24189dd69ca5904d46f711b32ed304cb67c2d4ba3a63c52a458ff89c6a33a','image/png',95,32,24,'','a fox in the snow (picture 1 of 2, drawn by FLUX schnell)',0,NULL);
INSERT INTO "outputs" VALUES('06h2wfkhh8abrc7a8nd2',2,'6ab24189dd69ca5904d46f711b32ed304cb67c2d4ba3a63c52a458ff89c6a33a','image/png',95,32,24,'','a fox in the snow (picture 2 of 2, drawn by FLUX schnell)',0,NULL);
INSERT INTO "outputs" VALUES('06h2wfkhzd0wxp98grfn',1,'','',0,0,0,'A short answer.','',0,NULL);
CREATE TABLE page_messages (
	id TEXT NOT NULL, 
	channel TEXT DEFAULT '' NOT NULL, 
	user TEXT DEFAULT '' NOT NULL, 
	job TEXT DEFAULT '' NOT NULL, 
	is_from_bot BOOLEAN DEFAULT 0 NOT NULL, 
	reply JSON DEFAULT '{}' NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT page_messages_pkey PRIMARY KEY (id)
);
CREATE TABLE pauses (
	target TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	"by" TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pauses_pkey PRIMARY KEY (target)
);
CREATE TABLE pending (
	id TEXT NOT NULL, 
	kind TEXT DEFAULT '' NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	channel TEXT DEFAULT '' NOT NULL, 
	user TEXT DEFAULT '' NOT NULL, 
	facts JSON DEFAULT '{}' NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pending_pkey PRIMARY KEY (id)
);
CREATE TABLE policies (
	platform TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	scope_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value JSON DEFAULT 'null' NOT NULL, 
	"by" TEXT DEFAULT '' NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT policies_pkey PRIMARY KEY (platform, workspace, scope, scope_id, "key"), 
	CONSTRAINT policies_scope CHECK (scope IN ('bot', 'workspace', 'channel', 'role', 'user'))
);
INSERT INTO "policies" VALUES('web','page','user','ana','user_month_micros',900000,'web:page:owner','2026-01-01 00:00:00.000000');
INSERT INTO "policies" VALUES('web','page','role','gold','daily_allowance_micros',300000,'web:page:owner','2026-01-01 00:00:00.000000');
INSERT INTO "policies" VALUES('web','page','workspace','','setting:time_zone','"Europe/Berlin"','web:page:owner','2026-01-01 00:00:00.000000');
INSERT INTO "policies" VALUES('web','page','workspace','','setting:retention_days',7,'web:page:owner','2026-01-01 00:00:00.000000');
INSERT INTO "policies" VALUES('web','page','workspace','','setting:system_prompt','"You are a patient teacher."','web:page:owner','2026-01-01 00:00:00.000000');
CREATE TABLE predictions (
	id TEXT NOT NULL, 
	backend TEXT DEFAULT '' NOT NULL, 
	backend_id TEXT DEFAULT '' NOT NULL, 
	model TEXT DEFAULT '' NOT NULL, 
	fingerprint TEXT DEFAULT '' NOT NULL, 
	inputs JSON DEFAULT '{}' NOT NULL, 
	state TEXT DEFAULT '' NOT NULL, 
	predict_seconds FLOAT, 
	cost_micros BIGINT, 
	created_at DATETIME NOT NULL, 
	submitted_at DATETIME, 
	CONSTRAINT predictions_pkey PRIMARY KEY (id), 
	CONSTRAINT predictions_cost_not_negative CHECK (cost_micros >= 0), 
	CONSTRAINT predictions_seconds_not_negative CHECK (predict_seconds >= 0)
);
INSERT INTO "predictions" VALUES('06h2wfkhh8abrc7a8nd2','replicate','released-run1','flux-schnell','c4ce6e605486f5a3771db2c377031dea684e4294384654bed3c3931985f15285','{}','succeeded',1.5,6000,'2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000');
INSERT INTO "predictions" VALUES('06h2wfkhzd0wxp98grfn','replicate','released-run2','llama-3-8b','06d45c6c681cad68a8bad5076bce7c008541533b1f4066b4a6c3e40e85a9e034','{}','succeeded',1.5,5,'2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000');
INSERT INTO "predictions" VALUES('06h2wfkj0nmwqfxftt4f','replicate','released-run3','flux-schnell','ad914a103d1ecdefb614e24890774bf4e22515c0eb4011634d1e238cc7461338','{}','failed',1.5,0,'2026-01-01 00:00:00.000000','2026-01-01 00:00:00.000000');
CREATE TABLE rate_limits (
	"key" TEXT NOT NULL, 
	free_at FLOAT NOT NULL, 
	CONSTRAINT rate_limits_pkey PRIMARY KEY ("key")
);
CREATE TABLE refused_words (
	platform TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	word TEXT NOT NULL, 
	"by" TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT refused_words_pkey PRIMARY KEY (platform, workspace, word)
);
INSERT INTO "refused_words" VALUES('web','page','wolf','owner');
CREATE TABLE turns (
	id TEXT NOT NULL, 
	conversation TEXT NOT NULL, 
	parent TEXT DEFAULT '' NOT NULL, 
	job TEXT DEFAULT '' NOT NULL, 
	role TEXT DEFAULT '' NOT NULL, 
	user TEXT DEFAULT '' NOT NULL, 
	text TEXT DEFAULT '' NOT NULL, 
	files JSON DEFAULT '[]' NOT NULL, 
	platform_message TEXT DEFAULT '' NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT turns_pkey PRIMARY KEY (id), 
	CONSTRAINT turns_role CHECK (role IN ('user', 'assistant')), 
	CONSTRAINT turns_conversation_fkey FOREIGN KEY(conversation) REFERENCES conversations (id) ON DELETE CASCADE
);
INSERT INTO "turns" VALUES('06h2wfkhyrgs36hew76z','06h2wfkhyt7wrajef0ez','','06h2wfkhyrsfs8hc6mpf','user','web:ana','What is a rainbow?','[]','','2026-01-01 00:00:00.000000');
INSERT INTO "turns" VALUES('06h2wfkhzxpc4qw3aztg','06h2wfkhyt7wrajef0ez','06h2wfkhyrgs36hew76z','06h2wfkhyrsfs8hc6mpf','assistant','','A short answer.','[]','','2026-01-01 00:00:00.000000');
CREATE TABLE users (
	platform TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	name_folded TEXT DEFAULT '' NOT NULL, 
	locale TEXT DEFAULT '' NOT NULL, 
	blocked_until DATETIME, 
	block_reason TEXT DEFAULT '' NOT NULL, 
	seen_at DATETIME, 
	CONSTRAINT users_pkey PRIMARY KEY (platform, workspace, id)
);
INSERT INTO "users" VALUES('web','page','ana','Ana','ana','en',NULL,'','2026-01-01 00:00:00.000000');
INSERT INTO "users" VALUES('web','page','owner','The owner','the owner','en',NULL,'','2026-01-01 00:00:00.000000');
CREATE TABLE visitor_keys (
	sha256 TEXT NOT NULL, 
	visitor TEXT NOT NULL, 
	is_invitation BOOLEAN DEFAULT 0 NOT NULL, 
	expires_at DATETIME, 
	CONSTRAINT visitor_keys_pkey PRIMARY KEY (sha256), 
	CONSTRAINT visitor_keys_visitor_fkey FOREIGN KEY(visitor) REFERENCES visitors (id) ON DELETE CASCADE
);
CREATE TABLE visitors (
	id TEXT NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	name_folded TEXT DEFAULT '' NOT NULL, 
	rank TEXT DEFAULT '' NOT NULL, 
	invited_at DATETIME NOT NULL, 
	joined_at DATETIME, 
	CONSTRAINT visitors_pkey PRIMARY KEY (id), 
	CONSTRAINT visitors_rank CHECK (rank IN ('user', 'moderator', 'owner'))
);
CREATE TABLE workers (
	id TEXT NOT NULL, 
	beat_at DATETIME NOT NULL, 
	CONSTRAINT workers_pkey PRIMARY KEY (id)
);
CREATE TABLE workspaces (
	platform TEXT NOT NULL, 
	id TEXT NOT NULL, 
	is_allowed BOOLEAN DEFAULT 0 NOT NULL, 
	allowed_at DATETIME, 
	removed_at DATETIME, 
	CONSTRAINT workspaces_pkey PRIMARY KEY (platform, id)
);
CREATE INDEX pending_expires_at ON pending (expires_at);
CREATE INDEX inbox_received_at ON inbox (received_at);
CREATE UNIQUE INDEX predictions_backend_id ON predictions (backend, backend_id) WHERE backend_id <> '';
CREATE INDEX predictions_fingerprint ON predictions (fingerprint);
CREATE INDEX users_name ON users (platform, workspace, name_folded);
CREATE UNIQUE INDEX visitors_name ON visitors (name_folded);
CREATE INDEX audit_of_workspace ON audit (platform, workspace, at);
CREATE UNIQUE INDEX conversations_place ON conversations (platform, workspace, channel, thread, is_reply_chain);
CREATE INDEX page_messages_of_user ON page_messages (user, channel);
CREATE INDEX page_messages_of_channel ON page_messages (channel, created_at, id);
CREATE INDEX jobs_of_user ON jobs (platform, user_workspace, user, created_at);
CREATE INDEX jobs_of_prediction ON jobs (prediction);
CREATE INDEX jobs_reuse_key ON jobs (platform, workspace, reuse_key) WHERE reuse_key <> '';
CREATE INDEX jobs_open ON jobs (owner) WHERE state IN ('accepted', 'queued', 'submitting', 'running');
CREATE UNIQUE INDEX jobs_press_key ON jobs (press_key) WHERE press_key <> '' AND state IN ('accepted', 'queued', 'submitting', 'running');
CREATE INDEX jobs_unfinished ON jobs (created_at) WHERE (state IN ('accepted', 'queued', 'submitting', 'running', 'finished') OR state IN ('failed', 'cancelled') AND notified_at IS NULL);
CREATE INDEX jobs_not_erased ON jobs (created_at) WHERE erased_at IS NULL;
CREATE INDEX jobs_of_channel ON jobs (platform, workspace, channel, created_at);
CREATE UNIQUE INDEX jobs_request_key ON jobs (request_key);
CREATE INDEX outputs_expires_at ON outputs (expires_at);
CREATE INDEX outputs_sha256 ON outputs (sha256);
CREATE UNIQUE INDEX ledger_key ON ledger ("key");
CREATE INDEX ledger_job ON ledger (job);
CREATE UNIQUE INDEX ledger_hold_once ON ledger (job, account) WHERE kind = 'hold';
CREATE INDEX ledger_account ON ledger (account);
CREATE UNIQUE INDEX ledger_close_once ON ledger (job, account) WHERE kind IN ('settle', 'release');
CREATE INDEX ledger_of_actor ON ledger (actor, at) WHERE kind = 'hold';
CREATE INDEX visitor_keys_of_visitor ON visitor_keys (visitor);
CREATE UNIQUE INDEX turns_job_role ON turns (job, role) WHERE job <> '';
CREATE UNIQUE INDEX turns_platform_message ON turns (conversation, platform_message) WHERE platform_message <> '';
CREATE INDEX turns_of_conversation ON turns (conversation, created_at, id);
CREATE INDEX messages_token ON messages (token_expires_at) WHERE token <> '';
CREATE INDEX messages_address ON messages (platform, workspace, channel, message);
CREATE TRIGGER ledger_close_equals_hold BEFORE INSERT ON ledger WHEN NEW.kind IN ('settle', 'release')
BEGIN
    SELECT RAISE(ABORT, 'the ledger refuses: a close must equal its hold') WHERE
    NOT EXISTS (SELECT 1 FROM ledger AS hold WHERE hold.kind = 'hold' AND hold.job = NEW.job
                AND hold.account = NEW.account AND hold.held_delta_micros = -NEW.held_delta_micros);
END;
CREATE TRIGGER ledger_moves_account AFTER INSERT ON ledger
BEGIN
    UPDATE accounts SET balance_micros = balance_micros + NEW.balance_delta_micros,
        held_micros = held_micros + NEW.held_delta_micros,
        granted_micros = granted_micros
            + CASE WHEN NEW.kind IN ('grant', 'adjust') THEN NEW.balance_delta_micros ELSE 0 END,
        last_entry = NEW.id
    WHERE id = NEW.account;
END;
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger refuses: its rows are final');
END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger refuses: its rows are final');
END;
CREATE TRIGGER accounts_start_empty BEFORE INSERT ON accounts
WHEN NEW.balance_micros <> 0 OR NEW.held_micros <> 0 OR NEW.granted_micros <> 0 OR NEW.last_entry <> 0
BEGIN
    SELECT RAISE(ABORT, 'the ledger refuses: an account starts empty');
END;
CREATE TRIGGER accounts_moved_by_ledger
BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, last_entry ON accounts
BEGIN
    SELECT RAISE(ABORT, 'the ledger refuses: money moves by its rows only') WHERE NEW.id <> OLD.id OR
    NEW.last_entry = OLD.last_entry OR NOT EXISTS (
        SELECT 1 FROM ledger WHERE id = NEW.last_entry AND account = NEW.id
        AND NEW.balance_micros = OLD.balance_micros + balance_delta_micros
        AND NEW.held_micros = OLD.held_micros + held_delta_micros
        AND NEW.granted_micros = OLD.granted_micros
            + CASE WHEN kind IN ('grant', 'adjust') THEN balance_delta_micros ELSE 0 END);
END;
COMMIT;
