-- How many bookings are in which state, over all events (OP-2): one row, so that whoever asks again
-- and again costs nothing. There from the first booking on.
CREATE TABLE bookings.tally (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    -- Holds of buyers, and offers to those who waited, that have not come to their end.
    held bigint NOT NULL,
    offered bigint NOT NULL,
    -- What became of the others.
    confirmed bigint NOT NULL,
    cancelled bigint NOT NULL,
    expired bigint NOT NULL
);
