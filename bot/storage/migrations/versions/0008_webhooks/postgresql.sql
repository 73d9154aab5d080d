CREATE TABLE webhooks (
	platform TEXT COLLATE "C" NOT NULL, 
	workspace TEXT COLLATE "C" NOT NULL, 
	url TEXT DEFAULT '' NOT NULL, 
	secret TEXT DEFAULT '' NOT NULL, 
	added_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	taken_at TIMESTAMP WITH TIME ZONE, 
	failed_at TIMESTAMP WITH TIME ZONE, 
	error TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT webhooks_pkey PRIMARY KEY (platform, workspace)
)

CREATE TABLE webhook_posts (
	job TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT webhook_posts_pkey PRIMARY KEY (job), 
	CONSTRAINT webhook_posts_job_fkey FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX webhook_posts_of_workspace ON webhook_posts (platform, workspace, due_at)
