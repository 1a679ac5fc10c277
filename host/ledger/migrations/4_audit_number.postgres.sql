-- The order of audit events: rows lie in no order, and a millisecond holds several. SQLite has its `rowid`.
ALTER TABLE audit ADD COLUMN number BIGINT GENERATED ALWAYS AS IDENTITY;
