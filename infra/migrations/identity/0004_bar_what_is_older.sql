-- Only tokens that were made of what was known before this moment. Who was barred so far was
-- erased: none of theirs counts.
ALTER TABLE identity.barred ADD COLUMN before_ms bigint NOT NULL DEFAULT 253402300799999;
