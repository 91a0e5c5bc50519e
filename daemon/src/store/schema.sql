-- The main file, larder.db: one row per entry in key order, and one row of accounting.
-- page_size and auto_vacuum are set before this runs; user_version is set by the migration that runs it.

-- The value comes last: what is wanted of a row with a large one is then read without its overflow pages.
CREATE TABLE entries (
    key       BLOB NOT NULL PRIMARY KEY,
    deadline  INTEGER,            -- unix milliseconds from which the entry is gone; NULL: no TTL
    written   INTEGER NOT NULL,   -- unix seconds at which the row was written here
    raw_bytes INTEGER,            -- size of the value before it was compressed (zstd); NULL: it is stored as it was sent
    checksum  INTEGER NOT NULL,   -- of all of the above and the value, as row.rs takes it
    value     BLOB NOT NULL
) WITHOUT ROWID;

-- Clean-up walks this in deadline order. Partial: entries without a TTL cost nothing here.
CREATE INDEX entries_by_deadline ON entries (deadline) WHERE deadline IS NOT NULL;

-- Kept in the same transaction as the rows it counts, so that no figure ever needs a scan.
CREATE TABLE accounting (
    only              INTEGER PRIMARY KEY CHECK (only = 1),
    rows              INTEGER NOT NULL,   -- rows of entries
    ttl_rows          INTEGER NOT NULL,   -- those with a deadline
    stored_bytes      INTEGER NOT NULL,   -- keys, and values as they are stored
    raw_bytes         INTEGER NOT NULL,   -- keys, and values as they were sent
    merged_generation INTEGER NOT NULL    -- journals up to this number are wholly contained in entries
);
INSERT INTO accounting VALUES (1, 0, 0, 0, 0, 0);

-- For people with sqlite3: keys and values as text, times as dates. A compressed value is shown as its size only.
CREATE VIEW entries_readable AS
SELECT CAST(key AS TEXT)                                             AS key,
       coalesce(raw_bytes, length(value))                            AS value_bytes,
       length(value)                                                 AS stored_bytes,
       CASE WHEN raw_bytes IS NULL THEN CAST(substr(value, 1, 80) AS TEXT)
            ELSE '(compressed)' END                                  AS value_start,
       strftime('%Y-%m-%d %H:%M:%S', written, 'unixepoch')           AS written_utc,
       strftime('%Y-%m-%d %H:%M:%f', deadline / 1000.0, 'unixepoch') AS deadline_utc
FROM entries;
