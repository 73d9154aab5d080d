CREATE TABLE page_files (
	message TEXT COLLATE "C" NOT NULL, 
	n INTEGER NOT NULL, 
	text TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT page_files_pkey PRIMARY KEY (message, n), 
	CONSTRAINT page_files_message_fkey FOREIGN KEY(message) REFERENCES page_messages (id) ON DELETE CASCADE
)
