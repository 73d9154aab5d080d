CREATE TABLE presets (
	platform TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	user TEXT NOT NULL, 
	name TEXT NOT NULL, 
	options JSON DEFAULT '{}' NOT NULL, 
	"by" TEXT DEFAULT '' NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT presets_pkey PRIMARY KEY (platform, workspace, user, name)
)
