"""The tables of both engines: one shared MetaData, one file for each kind of content."""
