ALTER TABLE outputs ADD COLUMN duration_seconds FLOAT
