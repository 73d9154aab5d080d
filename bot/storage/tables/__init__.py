"""Tables of both engines, in a shared MetaData: a file for each group of tables."""
