SELECT pg_catalog.set_config('search_path', '', false);
CREATE FUNCTION public.accounts_moved_by_ledger() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
END$$;
CREATE FUNCTION public.accounts_start_empty() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: an account starts empty';
END$$;
CREATE FUNCTION public.ledger_close_equals_hold() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF
    NOT EXISTS (SELECT 1 FROM ledger AS hold WHERE hold.kind = 'hold' AND hold.job = NEW.job
                AND hold.account = NEW.account AND hold.held_delta_micros = -NEW.held_delta_micros) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: a close must equal its hold';
    END IF;
    RETURN NEW;
END$$;
CREATE FUNCTION public.ledger_is_final() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'the ledger refuses: its rows are final';
END$$;
CREATE FUNCTION public.ledger_moves_account() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE accounts SET balance_micros = balance_micros + NEW.balance_delta_micros,
        held_micros = held_micros + NEW.held_delta_micros,
        granted_micros = granted_micros
            + CASE WHEN NEW.kind IN ('grant', 'adjust') THEN NEW.balance_delta_micros ELSE 0 END,
        last_entry = NEW.id
    WHERE id = NEW.account;
    RETURN NULL;
END$$;
CREATE TABLE public.accounts (
    id text NOT NULL COLLATE pg_catalog."C",
    kind text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    scope text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    platform text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    "user" text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    "window" text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    expires_at timestamp with time zone,
    balance_micros bigint DEFAULT '0'::bigint NOT NULL,
    held_micros bigint DEFAULT '0'::bigint NOT NULL,
    granted_micros bigint DEFAULT '0'::bigint NOT NULL,
    last_entry bigint DEFAULT '0'::bigint NOT NULL,
    CONSTRAINT accounts_balance_not_negative CHECK ((balance_micros >= 0)),
    CONSTRAINT accounts_balance_within_granted CHECK ((balance_micros <= granted_micros)),
    CONSTRAINT accounts_held_not_negative CHECK ((held_micros >= 0)),
    CONSTRAINT accounts_held_within_balance CHECK ((held_micros <= balance_micros)),
    CONSTRAINT accounts_kind CHECK ((kind = ANY (ARRAY['wallet'::text, 'budget'::text])))
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    platform text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    actor text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    action text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    facts json DEFAULT '{}'::json NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;
CREATE TABLE public.conversations (
    id text NOT NULL COLLATE pg_catalog."C",
    platform text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    channel text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    thread text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    is_reply_chain boolean DEFAULT false NOT NULL,
    model text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    system text DEFAULT ''::text NOT NULL,
    starter text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.inbox (
    id text NOT NULL COLLATE pg_catalog."C",
    job text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    received_at timestamp with time zone NOT NULL
);
CREATE TABLE public.installations (
    platform text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    enterprise text NOT NULL COLLATE pg_catalog."C",
    secrets bytea,
    facts json DEFAULT '{}'::json NOT NULL,
    installed_by text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    installed_at timestamp with time zone NOT NULL,
    removed_at timestamp with time zone
);
CREATE TABLE public.jobs (
    id text NOT NULL COLLATE pg_catalog."C",
    request_key text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    press_key text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    parent_job text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    platform text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    channel text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    thread text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    is_age_restricted boolean DEFAULT false NOT NULL,
    is_reply_chain boolean DEFAULT false NOT NULL,
    "user" text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    user_workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    user_name text DEFAULT ''::text NOT NULL,
    locale text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    roles json DEFAULT '[]'::json NOT NULL,
    is_administrator boolean DEFAULT false NOT NULL,
    command text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    options json DEFAULT '{}'::json NOT NULL,
    model text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    backend text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    inputs json DEFAULT '{}'::json NOT NULL,
    prediction text COLLATE pg_catalog."C",
    conversation text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    state text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    is_private boolean DEFAULT false NOT NULL,
    estimate_micros bigint DEFAULT '0'::bigint NOT NULL,
    max_micros bigint DEFAULT '0'::bigint NOT NULL,
    cost_micros bigint,
    weight integer DEFAULT 1 NOT NULL,
    queue_time double precision,
    reuse_key text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    reuses text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    owner text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    epoch integer DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    run_after timestamp with time zone,
    cancel_by text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    error text DEFAULT ''::text NOT NULL,
    notified_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    erased_at timestamp with time zone,
    steps text DEFAULT ''::text NOT NULL,
    CONSTRAINT jobs_cost_not_negative CHECK ((cost_micros >= 0)),
    CONSTRAINT jobs_estimate_not_negative CHECK (((estimate_micros >= 0) AND (max_micros >= 0))),
    CONSTRAINT jobs_state CHECK ((state = ANY (ARRAY['accepted'::text, 'queued'::text, 'submitting'::text, 'running'::text, 'finished'::text, 'failed'::text, 'cancelled'::text, 'delivered'::text, 'undeliverable'::text]))),
    CONSTRAINT jobs_weight_not_negative CHECK ((weight >= 0))
);
CREATE TABLE public.ledger (
    id bigint NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    job text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    kind text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    balance_delta_micros bigint NOT NULL,
    held_delta_micros bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    actor text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    prediction text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    reason text DEFAULT ''::text NOT NULL,
    reset_period text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_kind CHECK ((kind = ANY (ARRAY['grant'::text, 'adjust'::text, 'hold'::text, 'settle'::text, 'release'::text, 'expire'::text, 'reset'::text]))),
    CONSTRAINT ledger_reset_period CHECK (((reset_period = ''::text) OR (reset_period = ANY (ARRAY['day'::text, 'month'::text])))),
    CONSTRAINT ledger_shape CHECK (
CASE kind
    WHEN 'grant'::text THEN ((balance_delta_micros >= 0) AND (held_delta_micros = 0) AND (job = ''::text))
    WHEN 'adjust'::text THEN (held_delta_micros = 0)
    WHEN 'hold'::text THEN ((balance_delta_micros = 0) AND (held_delta_micros >= 0) AND (job <> ''::text))
    WHEN 'settle'::text THEN ((held_delta_micros <= balance_delta_micros) AND (balance_delta_micros <= 0) AND (job <> ''::text))
    WHEN 'release'::text THEN ((balance_delta_micros = 0) AND (held_delta_micros <= 0) AND (job <> ''::text))
    WHEN 'expire'::text THEN ((balance_delta_micros <= 0) AND (held_delta_micros = 0))
    WHEN 'reset'::text THEN ((balance_delta_micros >= 0) AND (held_delta_micros = 0) AND (job = ''::text))
    ELSE false
END)
);
CREATE SEQUENCE public.ledger_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_id_seq OWNED BY public.ledger.id;
CREATE TABLE public.messages (
    job text NOT NULL COLLATE pg_catalog."C",
    part integer NOT NULL,
    platform text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    channel text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    thread text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    message text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    token text DEFAULT ''::text NOT NULL,
    token_expires_at timestamp with time zone,
    unposted_for text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    unposted_for_workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    is_original_response boolean DEFAULT false NOT NULL,
    notes json DEFAULT '{}'::json NOT NULL,
    state text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    start integer DEFAULT 0 NOT NULL,
    "end" integer DEFAULT 0 NOT NULL,
    opening text DEFAULT ''::text NOT NULL,
    CONSTRAINT messages_range CHECK (((part >= 0) AND (start >= 0) AND ("end" >= 0))),
    CONSTRAINT messages_state CHECK ((state = ANY (ARRAY['posted'::text, 'closed'::text, 'final'::text])))
);
CREATE TABLE public.model_times (
    model text NOT NULL COLLATE pg_catalog."C",
    seconds double precision NOT NULL
);
CREATE TABLE public.outputs (
    prediction text NOT NULL COLLATE pg_catalog."C",
    n integer NOT NULL,
    sha256 text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    mime text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    size_bytes bigint DEFAULT '0'::bigint NOT NULL,
    width integer DEFAULT 0 NOT NULL,
    height integer DEFAULT 0 NOT NULL,
    text text DEFAULT ''::text NOT NULL,
    alt text DEFAULT ''::text NOT NULL,
    is_flagged boolean DEFAULT false NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT outputs_not_negative CHECK (((n >= 1) AND (size_bytes >= 0) AND (width >= 0) AND (height >= 0)))
);
CREATE TABLE public.page_messages (
    id text NOT NULL COLLATE pg_catalog."C",
    channel text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    "user" text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    job text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    is_from_bot boolean DEFAULT false NOT NULL,
    reply json DEFAULT '{}'::json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);
CREATE TABLE public.pauses (
    target text NOT NULL COLLATE pg_catalog."C",
    reason text DEFAULT ''::text NOT NULL,
    by text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.pending (
    id text NOT NULL COLLATE pg_catalog."C",
    kind text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    platform text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    workspace text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    channel text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    "user" text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    facts json DEFAULT '{}'::json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.policies (
    platform text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    scope_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value json DEFAULT 'null'::json NOT NULL,
    by text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    CONSTRAINT policies_scope CHECK ((scope = ANY (ARRAY['bot'::text, 'workspace'::text, 'channel'::text, 'role'::text, 'user'::text])))
);
CREATE TABLE public.predictions (
    id text NOT NULL COLLATE pg_catalog."C",
    backend text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    backend_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    model text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    fingerprint text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    inputs json DEFAULT '{}'::json NOT NULL,
    state text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    predict_seconds double precision,
    cost_micros bigint,
    created_at timestamp with time zone NOT NULL,
    submitted_at timestamp with time zone,
    CONSTRAINT predictions_cost_not_negative CHECK ((cost_micros >= 0)),
    CONSTRAINT predictions_seconds_not_negative CHECK ((predict_seconds >= (0)::double precision))
);
CREATE TABLE public.rate_limits (
    key text NOT NULL COLLATE pg_catalog."C",
    free_at double precision NOT NULL
);
CREATE TABLE public.refused_words (
    platform text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    word text NOT NULL,
    by text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.turns (
    id text NOT NULL COLLATE pg_catalog."C",
    conversation text NOT NULL COLLATE pg_catalog."C",
    parent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    job text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    role text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    "user" text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    text text DEFAULT ''::text NOT NULL,
    files json DEFAULT '[]'::json NOT NULL,
    platform_message text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT turns_role CHECK ((role = ANY (ARRAY['user'::text, 'assistant'::text])))
);
CREATE TABLE public.users (
    platform text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text DEFAULT ''::text NOT NULL,
    name_folded text DEFAULT ''::text NOT NULL,
    locale text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    blocked_until timestamp with time zone,
    block_reason text DEFAULT ''::text NOT NULL,
    seen_at timestamp with time zone
);
CREATE TABLE public.visitor_keys (
    sha256 text NOT NULL COLLATE pg_catalog."C",
    visitor text NOT NULL COLLATE pg_catalog."C",
    is_invitation boolean DEFAULT false NOT NULL,
    expires_at timestamp with time zone
);
CREATE TABLE public.visitors (
    id text NOT NULL COLLATE pg_catalog."C",
    name text DEFAULT ''::text NOT NULL,
    name_folded text DEFAULT ''::text NOT NULL,
    rank text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    invited_at timestamp with time zone NOT NULL,
    joined_at timestamp with time zone,
    CONSTRAINT visitors_rank CHECK ((rank = ANY (ARRAY['user'::text, 'moderator'::text, 'owner'::text])))
);
CREATE TABLE public.workers (
    id text NOT NULL COLLATE pg_catalog."C",
    beat_at timestamp with time zone NOT NULL
);
CREATE TABLE public.workspaces (
    platform text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    is_allowed boolean DEFAULT false NOT NULL,
    allowed_at timestamp with time zone,
    removed_at timestamp with time zone
);
ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);
ALTER TABLE ONLY public.ledger ALTER COLUMN id SET DEFAULT nextval('public.ledger_id_seq'::regclass);
INSERT INTO public.accounts VALUES ('wallet:daily:web:ana:2026-01-01', 'wallet', 'daily', 'web', '', 'ana', '2026-01-01', '2026-01-02 00:00:00+00', 93995, 0, 100000, 14);
INSERT INTO public.accounts VALUES ('budget:bot:2026-01', 'budget', 'bot', '', '', '', '2026-01', '2026-02-01 00:00:00+00', 9993995, 0, 10000000, 15);
INSERT INTO public.accounts VALUES ('wallet:granted:web:page:ana', 'wallet', 'granted', 'web', 'page', 'ana', '', NULL, 50000, 0, 50000, 16);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.audit VALUES (1, 'web', 'page', 'web:page:owner', 'credits.grant', '{"to": "ana", "micros": 50000}', '2026-01-01 00:00:00+00');
INSERT INTO public.audit VALUES (2, 'web', 'page', 'web:page:owner', 'policy.changed', '{"scope": "user", "id": "ana", "before": {"user_month_micros": null}, "after": {"user_month_micros": 900000}}', '2026-01-01 00:00:00+00');
INSERT INTO public.audit VALUES (3, 'web', 'page', 'web:page:owner', 'policy.changed', '{"scope": "role", "id": "gold", "before": {"daily_allowance_micros": null}, "after": {"daily_allowance_micros": 300000}}', '2026-01-01 00:00:00+00');
INSERT INTO public.audit VALUES (4, 'web', 'page', 'web:page:owner', 'policy.changed', '{"scope": "workspace", "id": "", "before": {"setting:time_zone": null, "setting:retention_days": null}, "after": {"setting:time_zone": "Europe/Berlin", "setting:retention_days": 7}}', '2026-01-01 00:00:00+00');
INSERT INTO public.audit VALUES (5, 'web', 'page', 'web:page:owner', 'policy.changed', '{"scope": "workspace", "id": "", "before": {"setting:system_prompt": null}, "after": {"setting:system_prompt": "You are a patient teacher."}}', '2026-01-01 00:00:00+00');
INSERT INTO public.audit VALUES (6, 'web', 'page', 'web:page:owner', 'words.added', '{"word": "wolf"}', '2026-01-01 00:00:00+00');
INSERT INTO public.conversations VALUES ('06h2wfmb9a60g1w1adnw', 'web', 'page', 'c1', '', false, 'llama-3-8b', 'You are Easel, a helpful guest in a group chat. Answer briefly, in the language of the question.', 'web:ana', '2026-01-01 00:00:00+00');
INSERT INTO public.jobs VALUES ('06h2wfmaph25n7r68ekx', 'web:1', '', '', 'web', 'page', 'c1', '', false, false, 'ana', 'page', 'Ana', 'en', '[]', false, 'imagine', '{"prompt": "a fox in the snow", "aspect": null, "count": 2, "seed": 7, "negative": null, "steps": null, "guidance": null, "format": null, "image": null, "strength": null, "model": "flux-schnell"}', 'flux-schnell', 'replicate', '{"go_fast": false, "prompt": "a fox in the snow", "num_outputs": 2, "seed": 7, "output_format": "png"}', '06h2wfmayjmwv4b8twt3', '', 'delivered', false, 6000, 6000, 6000, 1, 0, '1423ca8aa5180fcfa224c33ac8630388f7fca17350822f70b8e16a7a78fbd710', '', 'vm:32d2dec3e1c8', 0, 0, NULL, '', '', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', NULL, 'accepted 2026-01-01T00:00:00+00:00
queued 2026-01-01T00:00:00+00:00
submitting 2026-01-01T00:00:00+00:00
running 2026-01-01T00:00:00+00:00
finished 2026-01-01T00:00:00+00:00
delivered 2026-01-01T00:00:00+00:00
');
INSERT INTO public.jobs VALUES ('06h2wfmb9nb3d6sfjwqg', 'web:2', '', '', 'web', 'page', 'c1', '', false, false, 'ana', 'page', 'Ana', 'en', '[]', false, 'chat', '{"message": "What is a rainbow?", "model": "llama-3-8b", "system": null, "temperature": null, "max_tokens": 1024, "image": null, "answers": "06h2wfmb98jdtmd93d4g"}', 'llama-3-8b', 'replicate', '{"prompt_template": "{prompt}", "prompt": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are Easel, a helpful guest in a group chat. Answer briefly, in the language of the question.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhat is a rainbow?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "max_tokens": 1024}', '06h2wfmbdq3pjr7mzjqm', '06h2wfmb9a60g1w1adnw', 'delivered', false, 132, 271, 5, 1, 1, '', '', 'vm:32d2dec3e1c8', 0, 0, NULL, '', '', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', NULL, 'accepted 2026-01-01T00:00:00+00:00
queued 2026-01-01T00:00:00+00:00
submitting 2026-01-01T00:00:00+00:00
running 2026-01-01T00:00:00+00:00
finished 2026-01-01T00:00:00+00:00
delivered 2026-01-01T00:00:00+00:00
');
INSERT INTO public.jobs VALUES ('06h2wfmbgyrg50xm0ybm', 'web:3', '', '', 'web', 'page', 'c1', '', false, false, 'ana', 'page', 'Ana', 'en', '[]', false, 'imagine', '{"prompt": "a wolf in the rain", "aspect": null, "count": 1, "seed": null, "negative": null, "steps": null, "guidance": null, "format": null, "image": null, "strength": null, "model": "flux-schnell"}', 'flux-schnell', 'replicate', '{"go_fast": false, "prompt": "a wolf in the rain", "num_outputs": 1, "seed": 548589013, "output_format": "png"}', '06h2wfmbjnrc52cqg40y', '', 'failed', false, 3000, 3000, 0, 1, 2, '', '', 'vm:32d2dec3e1c8', 0, 0, NULL, '', 'The model failed: CUDA out of memory. You were not charged.', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00', NULL, 'accepted 2026-01-01T00:00:00+00:00
queued 2026-01-01T00:00:00+00:00
submitting 2026-01-01T00:00:00+00:00
running 2026-01-01T00:00:00+00:00
failed 2026-01-01T00:00:00+00:00
');
INSERT INTO public.ledger VALUES (1, 'wallet:daily:web:ana:2026-01-01', '', 'grant', 100000, 0, 'daily:web:ana:2026-01-01', 'policy', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (2, 'wallet:granted:web:page:ana', '', 'grant', 0, 0, 'open:wallet:granted:web:page:ana', 'policy', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (3, 'budget:bot:2026-01', '', 'grant', 10000000, 0, 'open:budget:bot:2026-01', 'policy', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (4, 'wallet:daily:web:ana:2026-01-01', '06h2wfmaph25n7r68ekx', 'hold', 0, 6000, 'hold:06h2wfmaph25n7r68ekx:wallet:daily:web:ana:2026-01-01', 'web:page:ana', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (5, 'budget:bot:2026-01', '06h2wfmaph25n7r68ekx', 'hold', 0, 6000, 'hold:06h2wfmaph25n7r68ekx:budget:bot:2026-01', 'web:page:ana', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (6, 'wallet:daily:web:ana:2026-01-01', '06h2wfmaph25n7r68ekx', 'settle', -6000, -6000, 'close:06h2wfmaph25n7r68ekx:wallet:daily:web:ana:2026-01-01', 'bot', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (7, 'budget:bot:2026-01', '06h2wfmaph25n7r68ekx', 'settle', -6000, -6000, 'close:06h2wfmaph25n7r68ekx:budget:bot:2026-01', 'bot', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (8, 'wallet:daily:web:ana:2026-01-01', '06h2wfmb9nb3d6sfjwqg', 'hold', 0, 271, 'hold:06h2wfmb9nb3d6sfjwqg:wallet:daily:web:ana:2026-01-01', 'web:page:ana', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (9, 'budget:bot:2026-01', '06h2wfmb9nb3d6sfjwqg', 'hold', 0, 271, 'hold:06h2wfmb9nb3d6sfjwqg:budget:bot:2026-01', 'web:page:ana', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (10, 'wallet:daily:web:ana:2026-01-01', '06h2wfmb9nb3d6sfjwqg', 'settle', -5, -271, 'close:06h2wfmb9nb3d6sfjwqg:wallet:daily:web:ana:2026-01-01', 'bot', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (11, 'budget:bot:2026-01', '06h2wfmb9nb3d6sfjwqg', 'settle', -5, -271, 'close:06h2wfmb9nb3d6sfjwqg:budget:bot:2026-01', 'bot', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (12, 'wallet:daily:web:ana:2026-01-01', '06h2wfmbgyrg50xm0ybm', 'hold', 0, 3000, 'hold:06h2wfmbgyrg50xm0ybm:wallet:daily:web:ana:2026-01-01', 'web:page:ana', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (13, 'budget:bot:2026-01', '06h2wfmbgyrg50xm0ybm', 'hold', 0, 3000, 'hold:06h2wfmbgyrg50xm0ybm:budget:bot:2026-01', 'web:page:ana', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (14, 'wallet:daily:web:ana:2026-01-01', '06h2wfmbgyrg50xm0ybm', 'release', 0, -3000, 'close:06h2wfmbgyrg50xm0ybm:wallet:daily:web:ana:2026-01-01', 'bot', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (15, 'budget:bot:2026-01', '06h2wfmbgyrg50xm0ybm', 'release', 0, -3000, 'close:06h2wfmbgyrg50xm0ybm:budget:bot:2026-01', 'bot', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.ledger VALUES (16, 'wallet:granted:web:page:ana', '', 'grant', 50000, 0, 'grant:web:4', 'web:page:owner', '', '', '', '2026-01-01 00:00:00+00');
INSERT INTO public.messages VALUES ('06h2wfmaph25n7r68ekx', 0, 'web', 'page', 'c1', '', '06h2wfmaph25n7r68ekx:0', '', NULL, '', '', false, '{}', 'final', 0, 0, '');
INSERT INTO public.messages VALUES ('06h2wfmb9nb3d6sfjwqg', 0, 'web', 'page', 'c1', '', '06h2wfmb9nb3d6sfjwqg:0', '', NULL, '', '', false, '{}', 'final', 0, 15, '');
INSERT INTO public.messages VALUES ('06h2wfmbgyrg50xm0ybm', 0, 'web', 'page', 'c1', '', '06h2wfmbgyrg50xm0ybm:0', '', NULL, '', '', false, '{}', 'final', 0, 61, '');
INSERT INTO public.model_times VALUES ('flux-schnell', 1.5);
INSERT INTO public.model_times VALUES ('llama-3-8b', 1.5);
INSERT INTO public.outputs VALUES ('06h2wfmayjmwv4b8twt3', 1, '6ab24189dd69ca5904d46f711b32ed304cb67c2d4ba3a63c52a458ff89c6a33a', 'image/png', 95, 32, 24, '', 'a fox in the snow (picture 1 of 2, drawn by FLUX schnell)', false, NULL);
INSERT INTO public.outputs VALUES ('06h2wfmayjmwv4b8twt3', 2, '6ab24189dd69ca5904d46f711b32ed304cb67c2d4ba3a63c52a458ff89c6a33a', 'image/png', 95, 32, 24, '', 'a fox in the snow (picture 2 of 2, drawn by FLUX schnell)', false, NULL);
INSERT INTO public.outputs VALUES ('06h2wfmbdq3pjr7mzjqm', 1, '', '', 0, 0, 0, 'A short answer.', '', false, NULL);
INSERT INTO public.policies VALUES ('web', 'page', 'user', 'ana', 'user_month_micros', '900000', 'web:page:owner', '2026-01-01 00:00:00+00');
INSERT INTO public.policies VALUES ('web', 'page', 'role', 'gold', 'daily_allowance_micros', '300000', 'web:page:owner', '2026-01-01 00:00:00+00');
INSERT INTO public.policies VALUES ('web', 'page', 'workspace', '', 'setting:time_zone', '"Europe/Berlin"', 'web:page:owner', '2026-01-01 00:00:00+00');
INSERT INTO public.policies VALUES ('web', 'page', 'workspace', '', 'setting:retention_days', '7', 'web:page:owner', '2026-01-01 00:00:00+00');
INSERT INTO public.policies VALUES ('web', 'page', 'workspace', '', 'setting:system_prompt', '"You are a patient teacher."', 'web:page:owner', '2026-01-01 00:00:00+00');
INSERT INTO public.predictions VALUES ('06h2wfmayjmwv4b8twt3', 'replicate', 'released-run1', 'flux-schnell', 'c4ce6e605486f5a3771db2c377031dea684e4294384654bed3c3931985f15285', '{}', 'succeeded', 1.5, 6000, '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00');
INSERT INTO public.predictions VALUES ('06h2wfmbdq3pjr7mzjqm', 'replicate', 'released-run2', 'llama-3-8b', '06d45c6c681cad68a8bad5076bce7c008541533b1f4066b4a6c3e40e85a9e034', '{}', 'succeeded', 1.5, 5, '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00');
INSERT INTO public.predictions VALUES ('06h2wfmbjnrc52cqg40y', 'replicate', 'released-run3', 'flux-schnell', '9f625852019867e2bba6cb90475faeae33cd490b5a69f96b7fba4b224becfbed', '{}', 'failed', 1.5, 0, '2026-01-01 00:00:00+00', '2026-01-01 00:00:00+00');
INSERT INTO public.refused_words VALUES ('web', 'page', 'wolf', 'owner');
INSERT INTO public.turns VALUES ('06h2wfmb98jdtmd93d4g', '06h2wfmb9a60g1w1adnw', '', '06h2wfmb9nb3d6sfjwqg', 'user', 'web:ana', 'What is a rainbow?', '[]', '', '2026-01-01 00:00:00+00');
INSERT INTO public.turns VALUES ('06h2wfmbftx16gk9p1td', '06h2wfmb9a60g1w1adnw', '06h2wfmb98jdtmd93d4g', '06h2wfmb9nb3d6sfjwqg', 'assistant', '', 'A short answer.', '[]', '', '2026-01-01 00:00:00+00');
INSERT INTO public.users VALUES ('web', 'page', 'ana', 'Ana', 'ana', 'en', NULL, '', '2026-01-01 00:00:00+00');
INSERT INTO public.users VALUES ('web', 'page', 'owner', 'The owner', 'the owner', 'en', NULL, '', '2026-01-01 00:00:00+00');
SELECT pg_catalog.setval('public.audit_id_seq', 6, true);
SELECT pg_catalog.setval('public.ledger_id_seq', 16, true);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.installations
    ADD CONSTRAINT installations_pkey PRIMARY KEY (platform, workspace, enterprise);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (job, part);
ALTER TABLE ONLY public.model_times
    ADD CONSTRAINT model_times_pkey PRIMARY KEY (model);
ALTER TABLE ONLY public.outputs
    ADD CONSTRAINT outputs_pkey PRIMARY KEY (prediction, n);
ALTER TABLE ONLY public.page_messages
    ADD CONSTRAINT page_messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pauses
    ADD CONSTRAINT pauses_pkey PRIMARY KEY (target);
ALTER TABLE ONLY public.pending
    ADD CONSTRAINT pending_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.policies
    ADD CONSTRAINT policies_pkey PRIMARY KEY (platform, workspace, scope, scope_id, key);
ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT predictions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.refused_words
    ADD CONSTRAINT refused_words_pkey PRIMARY KEY (platform, workspace, word);
ALTER TABLE ONLY public.turns
    ADD CONSTRAINT turns_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (platform, workspace, id);
ALTER TABLE ONLY public.visitor_keys
    ADD CONSTRAINT visitor_keys_pkey PRIMARY KEY (sha256);
ALTER TABLE ONLY public.visitors
    ADD CONSTRAINT visitors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (platform, id);
CREATE INDEX audit_of_workspace ON public.audit USING btree (platform, workspace, at);
CREATE UNIQUE INDEX conversations_place ON public.conversations USING btree (platform, workspace, channel, thread, is_reply_chain);
CREATE INDEX inbox_received_at ON public.inbox USING btree (received_at);
CREATE INDEX jobs_not_erased ON public.jobs USING btree (created_at) WHERE (erased_at IS NULL);
CREATE INDEX jobs_of_channel ON public.jobs USING btree (platform, workspace, channel, created_at);
CREATE INDEX jobs_of_prediction ON public.jobs USING btree (prediction);
CREATE INDEX jobs_of_user ON public.jobs USING btree (platform, user_workspace, "user", created_at);
CREATE INDEX jobs_open ON public.jobs USING btree (owner) WHERE (state = ANY (ARRAY['accepted'::text, 'queued'::text, 'submitting'::text, 'running'::text]));
CREATE UNIQUE INDEX jobs_press_key ON public.jobs USING btree (press_key) WHERE ((press_key <> ''::text) AND (state = ANY (ARRAY['accepted'::text, 'queued'::text, 'submitting'::text, 'running'::text])));
CREATE UNIQUE INDEX jobs_request_key ON public.jobs USING btree (request_key);
CREATE INDEX jobs_reuse_key ON public.jobs USING btree (platform, workspace, reuse_key) WHERE (reuse_key <> ''::text);
CREATE INDEX jobs_unfinished ON public.jobs USING btree (created_at) WHERE ((state = ANY (ARRAY['accepted'::text, 'queued'::text, 'submitting'::text, 'running'::text, 'finished'::text])) OR ((state = ANY (ARRAY['failed'::text, 'cancelled'::text])) AND (notified_at IS NULL)));
CREATE INDEX ledger_account ON public.ledger USING btree (account);
CREATE UNIQUE INDEX ledger_close_once ON public.ledger USING btree (job, account) WHERE (kind = ANY (ARRAY['settle'::text, 'release'::text]));
CREATE UNIQUE INDEX ledger_hold_once ON public.ledger USING btree (job, account) WHERE (kind = 'hold'::text);
CREATE INDEX ledger_job ON public.ledger USING btree (job);
CREATE UNIQUE INDEX ledger_key ON public.ledger USING btree (key);
CREATE INDEX ledger_of_actor ON public.ledger USING btree (actor, at) WHERE (kind = 'hold'::text);
CREATE INDEX messages_address ON public.messages USING btree (platform, workspace, channel, message);
CREATE INDEX messages_token ON public.messages USING btree (token_expires_at) WHERE (token <> ''::text);
CREATE INDEX outputs_expires_at ON public.outputs USING btree (expires_at);
CREATE INDEX outputs_sha256 ON public.outputs USING btree (sha256);
CREATE INDEX page_messages_of_channel ON public.page_messages USING btree (channel, created_at, id);
CREATE INDEX page_messages_of_user ON public.page_messages USING btree ("user", channel);
CREATE INDEX pending_expires_at ON public.pending USING btree (expires_at);
CREATE UNIQUE INDEX predictions_backend_id ON public.predictions USING btree (backend, backend_id) WHERE (backend_id <> ''::text);
CREATE INDEX predictions_fingerprint ON public.predictions USING btree (fingerprint);
CREATE UNIQUE INDEX turns_job_role ON public.turns USING btree (job, role) WHERE (job <> ''::text);
CREATE INDEX turns_of_conversation ON public.turns USING btree (conversation, created_at, id);
CREATE UNIQUE INDEX turns_platform_message ON public.turns USING btree (conversation, platform_message) WHERE (platform_message <> ''::text);
CREATE INDEX users_name ON public.users USING btree (platform, workspace, name_folded);
CREATE INDEX visitor_keys_of_visitor ON public.visitor_keys USING btree (visitor);
CREATE UNIQUE INDEX visitors_name ON public.visitors USING btree (name_folded);
CREATE TRIGGER accounts_moved_by_ledger BEFORE UPDATE OF id, balance_micros, held_micros, granted_micros, last_entry ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.accounts_moved_by_ledger();
CREATE TRIGGER accounts_start_empty BEFORE INSERT ON public.accounts FOR EACH ROW WHEN (((new.balance_micros <> 0) OR (new.held_micros <> 0) OR (new.granted_micros <> 0) OR (new.last_entry <> 0))) EXECUTE FUNCTION public.accounts_start_empty();
CREATE TRIGGER ledger_close_equals_hold BEFORE INSERT ON public.ledger FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['settle'::text, 'release'::text]))) EXECUTE FUNCTION public.ledger_close_equals_hold();
CREATE TRIGGER ledger_moves_account AFTER INSERT ON public.ledger FOR EACH ROW EXECUTE FUNCTION public.ledger_moves_account();
CREATE TRIGGER ledger_no_change BEFORE DELETE OR UPDATE ON public.ledger FOR EACH ROW EXECUTE FUNCTION public.ledger_is_final();
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON public.ledger FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_is_final();
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_prediction_fkey FOREIGN KEY (prediction) REFERENCES public.predictions(id);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_account_fkey FOREIGN KEY (account) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.outputs
    ADD CONSTRAINT outputs_prediction_fkey FOREIGN KEY (prediction) REFERENCES public.predictions(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.turns
    ADD CONSTRAINT turns_conversation_fkey FOREIGN KEY (conversation) REFERENCES public.conversations(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.visitor_keys
    ADD CONSTRAINT visitor_keys_visitor_fkey FOREIGN KEY (visitor) REFERENCES public.visitors(id) ON DELETE CASCADE;
