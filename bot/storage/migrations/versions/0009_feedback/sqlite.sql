CREATE TABLE feedback (
	job TEXT NOT NULL, 
	user TEXT NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	vote TEXT DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	is_private BOOLEAN DEFAULT 0 NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT feedback_pkey PRIMARY KEY (job, user), 
	CONSTRAINT feedback_vote CHECK (vote IN ('up', 'down'))
)

CREATE INDEX feedback_of_person ON feedback (platform, user, workspace)

CREATE INDEX feedback_of_workspace ON feedback (platform, workspace, at)
