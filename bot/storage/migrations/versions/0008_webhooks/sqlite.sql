CREATE TABLE webhooks (
	platform TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	url TEXT DEFAULT '' NOT NULL, 
	secret TEXT DEFAULT '' NOT NULL, 
	added_at DATETIME NOT NULL, 
	taken_at DATETIME, 
	failed_at DATETIME, 
	error TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT webhooks_pkey PRIMARY KEY (platform, workspace)
)

CREATE TABLE webhook_posts (
	job TEXT NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	CONSTRAINT webhook_posts_pkey PRIMARY KEY (job), 
	CONSTRAINT webhook_posts_job_fkey FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX webhook_posts_of_workspace ON webhook_posts (platform, workspace, due_at)
