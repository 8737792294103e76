-- Which process keeps the views up to date. Others wait until it gives up, or shows no sign of life
-- any more. By the clock of the database, which all of them share.
CREATE TABLE projection.lease (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    holder uuid NOT NULL,
    until timestamptz NOT NULL
);
