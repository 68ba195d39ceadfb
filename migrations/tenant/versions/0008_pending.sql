-- A function's plan is kept for as long as nobody has looked at the tables anew, which is a minute or more. One that was
-- made when the newest partition was nearly empty goes through all of it for the pending events, and for each of these
-- through all pending flushes: with 10,000 events of 2,000 flushes that took 190 ms in place of 3.
-- What no index serves is scanned all the same, at a price for which versions before 18 would compile it.
ALTER FUNCTION {{fn}}nothing_between(timestamptz, timestamptz) SET enable_seqscan = off SET jit = off;
ALTER FUNCTION {{fn}}raw_events(text, timestamptz, timestamptz, timestamptz, timestamptz) SET enable_seqscan = off SET jit = off;
ALTER FUNCTION {{fn}}event_counts(timestamptz, timestamptz) SET enable_seqscan = off SET jit = off;
ALTER FUNCTION {{fn}}name_counts(timestamptz, timestamptz) SET enable_seqscan = off SET jit = off;
ALTER FUNCTION {{fn}}loose_orders(timestamptz, timestamptz) SET enable_seqscan = off SET jit = off;
