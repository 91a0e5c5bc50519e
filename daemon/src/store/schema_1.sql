-- The main file, larder.db: one row per entry in key order, and one row of accounting.
-- page_size and auto_vacuum are set before this runs; user_version is set by the migration that runs it.

CREATE TABLE entries (
    key      BLOB NOT NULL PRIMARY KEY,
    value    BLOB NOT NULL,
    deadline INTEGER              -- unix milliseconds from which the entry is gone; NULL: no TTL
) WITHOUT ROWID;

-- Clean-up walks this in deadline order. Partial: entries without a TTL cost nothing here.
CREATE INDEX entries_by_deadline ON entries (deadline) WHERE deadline IS NOT NULL;

-- Kept in the same transaction as the rows it counts, so that no figure ever needs a scan.
CREATE TABLE accounting (
    only              INTEGER PRIMARY KEY CHECK (only = 1),
    rows              INTEGER NOT NULL,   -- rows of entries
    ttl_rows          INTEGER NOT NULL,   -- those with a deadline
    content_bytes     INTEGER NOT NULL,   -- keys and values
    merged_generation INTEGER NOT NULL    -- journals up to this number are wholly contained in entries
);
INSERT INTO accounting VALUES (1, 0, 0, 0, 0);

-- For people with sqlite3: keys and values as text, the deadline as a date.
CREATE VIEW entries_readable AS
SELECT CAST(key AS TEXT)                                            AS key,
       length(value)                                                AS value_bytes,
       CAST(substr(value, 1, 80) AS TEXT)                           AS value_start,
       strftime('%Y-%m-%d %H:%M:%f', deadline / 1000.0, 'unixepoch') AS deadline_utc
FROM entries;
