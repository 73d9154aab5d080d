CREATE TABLE models (
	"key" TEXT NOT NULL, 
	platform TEXT DEFAULT '' NOT NULL, 
	workspace TEXT DEFAULT '' NOT NULL, 
	ref TEXT DEFAULT '' NOT NULL, 
	version TEXT DEFAULT '' NOT NULL, 
	entry JSON DEFAULT '{}' NOT NULL, 
	fields JSON DEFAULT '[]' NOT NULL, 
	agreed_micros BIGINT DEFAULT '0' NOT NULL, 
	"by" TEXT DEFAULT '' NOT NULL, 
	added_at DATETIME NOT NULL, 
	removed_at DATETIME, 
	CONSTRAINT models_pkey PRIMARY KEY ("key")
)
