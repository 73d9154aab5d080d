CREATE TABLE feedback (
	job TEXT COLLATE "C" NOT NULL, 
	"user" TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	workspace TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	vote TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	is_private BOOLEAN DEFAULT false NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT feedback_pkey PRIMARY KEY (job, "user"), 
	CONSTRAINT feedback_vote CHECK (vote IN ('up', 'down'))
)

CREATE INDEX feedback_of_person ON feedback (platform, "user", workspace)

CREATE INDEX feedback_of_workspace ON feedback (platform, workspace, at)
