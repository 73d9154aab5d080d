CREATE TABLE presets (
	platform TEXT COLLATE "C" NOT NULL, 
	workspace TEXT COLLATE "C" NOT NULL, 
	"user" TEXT COLLATE "C" NOT NULL, 
	name TEXT COLLATE "C" NOT NULL, 
	options JSON DEFAULT '{}' NOT NULL, 
	by TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT presets_pkey PRIMARY KEY (platform, workspace, "user", name)
)
