-- How far each view is, which log it was built from, and what could not be applied.
-- Positions are the log's, as its 64 bits; they only grow and are not a count.
CREATE SCHEMA projection;

-- The log this database was built from: the chain hash of its first record. One row, written with
-- the first record applied.
CREATE TABLE projection.log (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    first_hash bytea NOT NULL
);

-- One row per view, named like its schema: everything up to `position` is in its tables. While a
-- view is rebuilt there is a second row, NAME_next, for the copy.
CREATE TABLE projection.checkpoint (
    name text PRIMARY KEY,
    -- Of the projection whose code filled the tables.
    version integer NOT NULL,
    position bigint NOT NULL,
    -- How many records are parked; readers of this row need not look for them when it is 0.
    parked integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL
);

-- Records that could not be applied, and those behind them in the same stream.
CREATE TABLE projection.parked (
    projection text NOT NULL,
    position bigint NOT NULL,
    stream text NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL,
    error text NOT NULL,
    parked_at timestamptz NOT NULL,
    -- How often it was tried; 0 when it only waits behind another.
    attempts integer NOT NULL,
    PRIMARY KEY (projection, position)
);
CREATE INDEX ON projection.parked (projection, stream, revision);

-- Rebuilds under way. `updated_at` is the sign of life of the process that does it: a row that
-- stays still belongs to one that died.
CREATE TABLE projection.rebuild (
    name text PRIMARY KEY,
    owner uuid NOT NULL,
    -- How far the copy is, and where the log ended when it was last asked.
    position bigint NOT NULL,
    target bigint NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
