-- The embedded log, format 2. Any SQLite tool can read it; start with records_readable.

-- One row that says what this file is.
CREATE TABLE log (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    format INTEGER NOT NULL,
    -- Random, made with the log: tells whether two files are copies of one log.
    identity TEXT NOT NULL,
    -- How often the trace of a commit that failed had to be overwritten.
    settled INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE kinds (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    revision INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    kind INTEGER NOT NULL REFERENCES kinds (id),
    version INTEGER NOT NULL,
    -- Milliseconds since 1970-01-01T00:00:00Z.
    at INTEGER NOT NULL,
    -- JSON, hashed as it stands here.
    metadata TEXT NOT NULL,
    data TEXT NOT NULL,
    -- See the documentation of infra::log::chain.
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Where the records of each stream are: those of the last few thousand records in the order in which
-- they were written, all before them in the order of their streams. To put each record there at once
-- would write a page anew for each stream that sells, which are many times the records themselves;
-- thousands at a time share those pages. Both tables can be made anew from the records.
CREATE TABLE latest_positions (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE stream_positions (
    stream INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (stream, revision)
) STRICT, WITHOUT ROWID;

CREATE VIEW records_readable AS
SELECT
    r.position,
    s.name AS stream,
    r.revision,
    k.name AS kind,
    r.version,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.at / 1000.0, 'unixepoch') AS at,
    substr(lower(hex(r.id)), 1, 8) || '-' || substr(lower(hex(r.id)), 9, 4) || '-'
        || substr(lower(hex(r.id)), 13, 4) || '-' || substr(lower(hex(r.id)), 17, 4) || '-'
        || substr(lower(hex(r.id)), 21) AS id,
    r.metadata,
    r.data,
    lower(hex(r.hash)) AS hash
FROM records r
JOIN streams s ON s.id = r.stream
JOIN kinds k ON k.id = r.kind;

CREATE TRIGGER records_never_change BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'records of the log never change'); END;

CREATE TRIGGER records_are_never_deleted BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'records of the log are never deleted'); END;

-- Also what keeps INSERT OR REPLACE from replacing: that fires no DELETE trigger.
CREATE TRIGGER records_are_appended BEFORE INSERT ON records
WHEN NEW.position <> (SELECT ifnull(max(position), 0) + 1 FROM records)
    OR EXISTS (SELECT 1 FROM stream_positions WHERE stream = NEW.stream AND revision >= NEW.revision)
    OR EXISTS (SELECT 1 FROM latest_positions WHERE stream = NEW.stream AND revision >= NEW.revision)
BEGIN SELECT RAISE(ABORT, 'records are only appended to the end of the log'); END;

CREATE TRIGGER records_are_found AFTER INSERT ON records
BEGIN INSERT INTO latest_positions VALUES (NEW.position, NEW.stream, NEW.revision); END;

CREATE TRIGGER streams_never_change BEFORE UPDATE ON streams
BEGIN SELECT RAISE(ABORT, 'streams of the log never change'); END;

CREATE TRIGGER streams_are_never_deleted BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'streams of the log are never deleted'); END;

CREATE TRIGGER streams_are_appended BEFORE INSERT ON streams
WHEN EXISTS (SELECT 1 FROM streams WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'streams of the log never change'); END;

CREATE TRIGGER kinds_never_change BEFORE UPDATE ON kinds
BEGIN SELECT RAISE(ABORT, 'kinds of the log never change'); END;

CREATE TRIGGER kinds_are_never_deleted BEFORE DELETE ON kinds
BEGIN SELECT RAISE(ABORT, 'kinds of the log are never deleted'); END;

CREATE TRIGGER kinds_are_appended BEFORE INSERT ON kinds
WHEN EXISTS (SELECT 1 FROM kinds WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'kinds of the log never change'); END;

CREATE TRIGGER log_keeps_its_identity BEFORE UPDATE OF only, identity ON log
BEGIN SELECT RAISE(ABORT, 'a log keeps its identity'); END;

CREATE TRIGGER log_is_never_deleted BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'a log keeps its identity'); END;
