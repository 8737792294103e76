-- Who waits for what (WL-1, WL-2). A position is the rank among those who wait for the event.
CREATE SCHEMA waitlist;

CREATE TABLE waitlist.entry (
    waitlist_id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- NULL: any tier.
    tier_id uuid,
    quantity integer NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'offered', 'served', 'left')),
    -- The hold that was offered.
    booking_number bigint,
    -- The deadline of the offer while it stands.
    expires_at timestamptz,
    joined_at timestamptz NOT NULL,
    -- When it was offered something; tells how fast the list moves.
    offered_at timestamptz,
    -- Of the fact that made it; orders the list.
    joined_position bigint NOT NULL,
    -- Of the last fact about it.
    position bigint NOT NULL
);
CREATE INDEX ON waitlist.entry (event_id, joined_position) WHERE status = 'waiting';
CREATE INDEX ON waitlist.entry (event_id, offered_at) WHERE offered_at IS NOT NULL;
CREATE INDEX ON waitlist.entry (event_id, user_id, joined_position DESC);
