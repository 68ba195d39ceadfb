-- Answers from the rollups, completed from raw rows where these do not reach: at the edges of a range, and for what
-- flushes that are still pending stored. Each call sees one state of the database, so it equals a recount.
-- Bodies are parsed now, so nobody's search_path has a say in them. STRICT keeps them from being put into the statement
-- that calls them: they are planned once a session, and what surrounds them cannot spoil the plan. People's numbers are
-- looked up by subqueries, one by one: a join would read all people there are.

-- What the events of a name are counted by beside their name; null: by nothing.
CREATE FUNCTION {{fn}}event_detail(name text, page_path text, properties jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'page_view' THEN coalesce(page_path, 'unknown')
    WHEN 'section_view' THEN coalesce(properties ->> 'section', 'unknown')
    WHEN 'project_click' THEN coalesce(properties ->> 'project', 'unknown')
    WHEN 'external_link_click' THEN coalesce(properties ->> 'href', 'unknown')
    WHEN 'product_view' THEN properties ->> 'product_id'
    WHEN 'add_to_cart' THEN properties ->> 'product_id'
    WHEN 'purchase' THEN coalesce(properties ->> 'payment_method', 'unknown')
END;

CREATE FUNCTION {{fn}}visit_span(seconds numeric) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 1 + (seconds >= 10)::int + (seconds >= 30)::int + (seconds >= 60)::int + (seconds >= 180)::int
    + (seconds >= 600)::int + (seconds >= 1800)::int;

-- Sets of so many days stand beside those of the days, so that a range is read in fewer pieces.
CREATE FUNCTION {{fn}}block_days() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 5;

CREATE FUNCTION {{fn}}block_of(day date) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day - '0001-01-01'::date) / {{fn}}block_days();

CREATE FUNCTION {{fn}}rollup_zone() RETURNS text
LANGUAGE sql STABLE
RETURN coalesce((SELECT zone FROM {{schema}}.rollup_state), 'UTC');

-- The first instant of a day; where clocks are set back at midnight, that is the first of two.
CREATE FUNCTION {{fn}}day_start(day date, zone text) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN CASE
    WHEN (((day::timestamp AT TIME ZONE zone) - interval '1 hour') AT TIME ZONE zone)::date = day
    THEN (day::timestamp AT TIME ZONE zone) - interval '1 hour'
    ELSE day::timestamp AT TIME ZONE zone
END;

CREATE FUNCTION {{fn}}local_days(since timestamptz, until timestamptz)
RETURNS TABLE (day date, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE STRICT ROWS 40
BEGIN ATOMIC
    WITH bounds AS MATERIALIZED (
        SELECT z.zone, (since AT TIME ZONE z.zone)::date AS first_day,
            ((until - interval '1 microsecond') AT TIME ZONE z.zone)::date AS last_day
        FROM (SELECT {{fn}}rollup_zone() AS zone OFFSET 0) AS z
    ),
    days AS MATERIALIZED (
        SELECT b.zone, b.first_day + generate_series(0, b.last_day - b.first_day + 1) AS day FROM bounds AS b
    ),
    starts AS MATERIALIZED (SELECT d.day, {{fn}}day_start(d.day, d.zone) AS starts_at FROM days AS d)
    SELECT s.day, s.starts_at, next.starts_at FROM starts AS s JOIN starts AS next ON next.day = s.day + 1; END;

-- Whether nothing happened between two times of a day. Counted rather than looked for: for one row the planner would
-- read the table from its start.
CREATE FUNCTION {{fn}}nothing_between(since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN CASE
    WHEN since >= until THEN true
    WHEN (
        SELECT count(*) FROM {{schema}}.rollup_quarters AS q WHERE q.quarter >= since AND q.quarter < until
    ) > 0 THEN false
    WHEN (
        SELECT count(*) FROM {{schema}}.events AS e
        WHERE e.flush = ANY (ARRAY(SELECT p.flush FROM {{schema}}.rollup_pending AS p))
            AND e.occurred_at >= since AND e.occurred_at < until
    ) > 0 THEN false
    -- What is left are events of the quarter in which the time lies, if there were any in it.
    WHEN (
        SELECT count(*) FROM {{schema}}.rollup_quarters AS q WHERE q.quarter = date_bin('15 minutes', since, 'epoch')
    ) = 0 THEN true
    ELSE (
        SELECT count(*) FROM {{schema}}.events AS e
        WHERE e.occurred_at >= since
            AND e.occurred_at < least(until, date_bin('15 minutes', since, 'epoch') + interval '15 minutes')
    ) = 0
END;

-- The whole days of a range, whose rollups answer: from the first one until before `end_day`, or until before a time. A
-- day is whole if all of its events lie in the range. Without any, both times are the end of the range.
CREATE FUNCTION {{fn}}event_span(since timestamptz, until timestamptz)
RETURNS TABLE (zone text, first_day date, end_day date, whole_from timestamptz, whole_to timestamptz)
LANGUAGE sql STABLE STRICT ROWS 1
BEGIN ATOMIC
    WITH bounds AS MATERIALIZED (
        SELECT z.zone, (since AT TIME ZONE z.zone)::date AS since_day, (until AT TIME ZONE z.zone)::date AS until_day
        FROM (SELECT {{fn}}rollup_zone() AS zone OFFSET 0) AS z
    ),
    starts AS MATERIALIZED (
        SELECT b.*, {{fn}}day_start(b.since_day, b.zone) AS since_start,
            {{fn}}day_start(b.until_day, b.zone) AS until_start,
            {{fn}}day_start(b.until_day + 1, b.zone) AS until_end
        FROM bounds AS b
    ),
    days AS MATERIALIZED (
        SELECT s.*, s.since_day + (s.since_start < since)::integer AS first_day,
            s.until_day + (s.until_start < until AND {{fn}}nothing_between(until, s.until_end))::integer AS end_day
        FROM starts AS s
    )
    SELECT d.zone, d.first_day, greatest(d.first_day, d.end_day),
        CASE WHEN d.first_day >= d.end_day THEN until
            WHEN d.first_day = d.since_day THEN since ELSE {{fn}}day_start(d.first_day, d.zone) END,
        CASE WHEN d.first_day >= d.end_day OR d.end_day > d.until_day THEN until ELSE d.until_start END
    FROM days AS d; END;

-- The events of a range that the rollups of its whole days do not hold: of a name, or of all for ''.
CREATE FUNCTION {{fn}}raw_events(
    of_name text, since timestamptz, until timestamptz, whole_from timestamptz, whole_to timestamptz
)
RETURNS TABLE (occurred_at timestamptz, name text, detail text, visitor_id text, session_id text)
LANGUAGE sql STABLE STRICT ROWS 1000
BEGIN ATOMIC
    SELECT e.occurred_at, e.name, {{fn}}event_detail(e.name, e.page_path, e.properties), e.visitor_id, e.session_id
    FROM {{schema}}.events AS e
    WHERE since < whole_from AND e.occurred_at >= since AND e.occurred_at < whole_from
        AND (of_name = '' OR e.name = of_name)
    UNION ALL
    SELECT e.occurred_at, e.name, {{fn}}event_detail(e.name, e.page_path, e.properties), e.visitor_id, e.session_id
    FROM {{schema}}.events AS e
    WHERE whole_to < until AND e.occurred_at >= whole_to AND e.occurred_at < until
        AND (of_name = '' OR e.name = of_name)
    UNION ALL
    SELECT e.occurred_at, e.name, {{fn}}event_detail(e.name, e.page_path, e.properties), e.visitor_id, e.session_id
    FROM {{schema}}.events AS e
    WHERE e.flush = ANY (ARRAY(SELECT p.flush FROM {{schema}}.rollup_pending AS p))
        AND e.occurred_at >= whole_from AND e.occurred_at < whole_to AND (of_name = '' OR e.name = of_name); END;

-- Events and amounts per quarter of an hour. Parts of quarters at the edges, and pending events, are rows of their own.
CREATE FUNCTION {{fn}}event_counts(since timestamptz, until timestamptz)
RETURNS TABLE (quarter timestamptz, name text, currency text, n bigint, amount numeric)
LANGUAGE sql STABLE STRICT ROWS 1000
BEGIN ATOMIC
    WITH bounds AS MATERIALIZED (
        SELECT date_bin('15 minutes', since + interval '15 minutes' - interval '1 microsecond', 'epoch') AS first_at,
            date_bin('15 minutes', until, 'epoch') AS last_at
    )
    SELECT q.quarter, q.name, q.currency, q.n, q.amount
    FROM {{schema}}.rollup_quarters AS q
    WHERE q.quarter >= (SELECT first_at FROM bounds) AND q.quarter < (SELECT last_at FROM bounds)
    UNION ALL
    SELECT date_bin('15 minutes', e.occurred_at, 'epoch'), e.name, coalesce(e.currency, ''), count(*),
        coalesce(sum(e.amount), 0)
    FROM {{schema}}.events AS e
    WHERE since < (SELECT first_at FROM bounds)
        AND e.occurred_at >= since AND e.occurred_at < least((SELECT first_at FROM bounds), until)
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT date_bin('15 minutes', e.occurred_at, 'epoch'), e.name, coalesce(e.currency, ''), count(*),
        coalesce(sum(e.amount), 0)
    FROM {{schema}}.events AS e
    WHERE (SELECT last_at FROM bounds) < until
        AND e.occurred_at >= greatest((SELECT last_at FROM bounds), (SELECT first_at FROM bounds))
        AND e.occurred_at < until
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT date_bin('15 minutes', e.occurred_at, 'epoch'), e.name, coalesce(e.currency, ''), count(*),
        coalesce(sum(e.amount), 0)
    FROM {{schema}}.events AS e
    WHERE e.flush = ANY (ARRAY(SELECT p.flush FROM {{schema}}.rollup_pending AS p))
        AND e.occurred_at >= (SELECT first_at FROM bounds) AND e.occurred_at < (SELECT last_at FROM bounds)
    GROUP BY 1, 2, 3; END;

-- How often each name came, per day; pending events and parts of days are rows of their own.
CREATE FUNCTION {{fn}}name_counts(since timestamptz, until timestamptz)
RETURNS TABLE (day date, name text, n bigint)
LANGUAGE sql STABLE STRICT ROWS 200
BEGIN ATOMIC
    WITH span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(since, until) AS s)
    SELECT d.day, s.name, d.n
    FROM {{schema}}.rollup_series AS s
    JOIN {{schema}}.rollup_days AS d ON d.series = s.id
    WHERE md5(s.detail) IS NULL
        AND d.day >= (SELECT w.first_day FROM span AS w) AND d.day < (SELECT w.end_day FROM span AS w)
    UNION ALL
    SELECT (c.quarter AT TIME ZONE w.zone)::date, c.name, c.n
    FROM span AS w CROSS JOIN LATERAL {{fn}}event_counts(since, w.whole_from) AS c
    WHERE since < w.whole_from
    UNION ALL
    SELECT (c.quarter AT TIME ZONE w.zone)::date, c.name, c.n
    FROM span AS w CROSS JOIN LATERAL {{fn}}event_counts(w.whole_to, until) AS c
    WHERE w.whole_to < until
    UNION ALL
    SELECT (e.occurred_at AT TIME ZONE w.zone)::date, e.name, count(*)
    FROM span AS w
    JOIN {{schema}}.events AS e ON e.occurred_at >= w.whole_from AND e.occurred_at < w.whole_to
    WHERE e.flush = ANY (ARRAY(SELECT p.flush FROM {{schema}}.rollup_pending AS p))
    GROUP BY 1, 2; END;

-- The details of a name and how often each came.
CREATE FUNCTION {{fn}}detail_counts(of_name text, since timestamptz, until timestamptz)
RETURNS TABLE (detail text, n bigint)
LANGUAGE sql STABLE STRICT ROWS 500
BEGIN ATOMIC
    WITH span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(since, until) AS s)
    SELECT found.detail, sum(found.n)::bigint
    FROM (
        SELECT s.detail, d.n
        FROM (
            SELECT d.series, sum(d.n) AS n FROM {{schema}}.rollup_days AS d
            WHERE d.day >= (SELECT w.first_day FROM span AS w) AND d.day < (SELECT w.end_day FROM span AS w)
            GROUP BY d.series
        ) AS d
        JOIN {{schema}}.rollup_series AS s ON s.id = d.series
        WHERE s.name = of_name AND s.detail IS NOT NULL
        UNION ALL
        SELECT e.detail, count(*)
        FROM span AS w CROSS JOIN LATERAL
            {{fn}}raw_events(of_name, since, until, w.whole_from, w.whole_to) AS e
        WHERE e.detail IS NOT NULL
        GROUP BY e.detail
    ) AS found
    GROUP BY found.detail; END;

-- The most frequent details of a name, and how many visitors each had.
CREATE FUNCTION {{fn}}detail_visitors(of_name text, since timestamptz, until timestamptz, most bigint)
RETURNS TABLE (detail text, n bigint, visitors bigint)
LANGUAGE sql STABLE STRICT ROWS 50
BEGIN ATOMIC
    WITH span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(since, until) AS s),
    raw AS MATERIALIZED (
        SELECT e.detail, e.visitor_id, count(*) AS n
        FROM span AS w CROSS JOIN LATERAL
            {{fn}}raw_events(of_name, since, until, w.whole_from, w.whole_to) AS e
        WHERE e.detail IS NOT NULL
        GROUP BY e.detail, e.visitor_id
    ),
    counted AS (
        SELECT s.detail, d.n
        FROM (
            SELECT d.series, sum(d.n) AS n FROM {{schema}}.rollup_days AS d
            WHERE d.day >= (SELECT w.first_day FROM span AS w) AND d.day < (SELECT w.end_day FROM span AS w)
            GROUP BY d.series
        ) AS d
        JOIN {{schema}}.rollup_series AS s ON s.id = d.series
        WHERE s.name = of_name AND s.detail IS NOT NULL
        UNION ALL
        SELECT raw.detail, sum(raw.n) FROM raw GROUP BY raw.detail
    ),
    chosen AS MATERIALIZED (
        SELECT row_number() OVER ()::integer AS place, top.detail, top.n, s.id AS series
        FROM (
            SELECT c.detail, sum(c.n)::bigint AS n FROM counted AS c GROUP BY c.detail ORDER BY 2 DESC, 1 LIMIT most
        ) AS top
        LEFT JOIN {{schema}}.rollup_series AS s ON s.name = of_name AND md5(s.detail) = md5(top.detail)
    ),
    -- Sets of several days, where all of these are among the whole ones.
    blocks AS MATERIALIZED (
        SELECT k.series, k.block
        FROM {{schema}}.rollup_blocks AS k
        WHERE k.who = 0 AND k.block >= (SELECT {{fn}}block_of(w.first_day + {{fn}}block_days() - 1) FROM span AS w)
            AND k.block < (SELECT {{fn}}block_of(w.end_day) FROM span AS w)
    ),
    seen AS MATERIALIZED (
        SELECT c.place, (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = raw.visitor_id) AS number
        FROM raw JOIN chosen AS c ON c.detail = raw.detail
        WHERE raw.visitor_id IS NOT NULL
    ),
    members AS (
        SELECT q.place, 4 * q.quad + g.n AS chunk, substring(q.bits FROM 1 + 2048 * g.n FOR 2048) AS bits
        FROM (
            SELECT c.place, b.quad, bit_or(b.bits) AS bits
            FROM chosen AS c
            JOIN blocks AS k ON k.series = c.series
            JOIN {{schema}}.rollup_block_bits AS b ON b.who = 0 AND b.series = k.series AND b.block = k.block
            GROUP BY c.place, b.quad
        ) AS q
        CROSS JOIN (VALUES (0), (1), (2), (3)) AS g (n)
        UNION ALL
        SELECT c.place, b.chunk, b.bits
        FROM chosen AS c
        JOIN {{schema}}.rollup_bits AS b ON b.who = 0 AND b.series = c.series
            AND b.day >= (SELECT w.first_day FROM span AS w) AND b.day < (SELECT w.end_day FROM span AS w)
        WHERE (c.series, {{fn}}block_of(b.day)) NOT IN (SELECT k.series, k.block FROM blocks AS k)
        UNION ALL
        SELECT found.place, found.number >> 11, {{fn}}bits_of(found.number & 2047, 1)
        FROM (
            SELECT c.place, unnest(l.members) AS number
            FROM chosen AS c
            JOIN {{schema}}.rollup_lists AS l ON l.who = 0 AND l.series = c.series
                AND l.day >= (SELECT w.first_day FROM span AS w) AND l.day < (SELECT w.end_day FROM span AS w)
            WHERE (c.series, {{fn}}block_of(l.day)) NOT IN (SELECT k.series, k.block FROM blocks AS k)
            UNION ALL
            SELECT seen.place, seen.number FROM seen WHERE seen.number IS NOT NULL
        ) AS found
        GROUP BY 1, 2
    ),
    known AS (
        SELECT u.place, sum(u.n) AS visitors
        FROM (
            SELECT m.place, m.chunk, bit_count(bit_or(m.bits)) AS n FROM members AS m GROUP BY m.place, m.chunk
        ) AS u
        GROUP BY u.place
    ),
    fresh AS (
        SELECT seen.place, count(*) AS visitors FROM seen WHERE seen.number IS NULL GROUP BY seen.place
    )
    SELECT c.detail, c.n, (coalesce(known.visitors, 0) + coalesce(fresh.visitors, 0))::bigint
    FROM chosen AS c
    LEFT JOIN known ON known.place = c.place
    LEFT JOIN fresh ON fresh.place = c.place
    ORDER BY c.n DESC, c.detail; END;

-- The visitors of a range per `step`: per day, week, month, or `all` of it. Numbered ones as bits per chunk; those that
-- have no number yet one by one. A step without anybody has one row of nothing.
CREATE FUNCTION {{fn}}visitor_sets(since timestamptz, until timestamptz, step text)
RETURNS TABLE (first_day date, chunk integer, bits bit, fresh text)
LANGUAGE sql STABLE STRICT ROWS 5000
BEGIN ATOMIC
    WITH span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(since, until) AS s),
    -- The range is as long as it is asked for, also where nothing happened.
    steps AS MATERIALIZED (
        SELECT d.day, CASE step
                WHEN 'all' THEN min(d.day) OVER ()
                WHEN 'day' THEN d.day
                ELSE date_trunc(step, d.day::timestamp)::date
            END AS first_day
        FROM (
            SELECT (since AT TIME ZONE w.zone)::date + generate_series(0,
                ((until - interval '1 microsecond') AT TIME ZONE w.zone)::date - (since AT TIME ZONE w.zone)::date) AS day
            FROM span AS w
        ) AS d
    ),
    raw AS MATERIALIZED (
        SELECT met.first_day, met.visitor_id, (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = met.visitor_id) AS number
        FROM (
            SELECT DISTINCT d.first_day, e.visitor_id
            FROM span AS w
            CROSS JOIN LATERAL {{fn}}raw_events('', since, until, w.whole_from, w.whole_to) AS e
            JOIN steps AS d ON d.day = (e.occurred_at AT TIME ZONE w.zone)::date
            WHERE e.visitor_id IS NOT NULL
        ) AS met
    ),
    members AS (
        SELECT d.first_day, b.chunk, b.bits
        FROM {{schema}}.rollup_bits AS b JOIN steps AS d ON d.day = b.day
        WHERE b.who = 0 AND b.series = 0
            AND b.day >= (SELECT w.first_day FROM span AS w) AND b.day < (SELECT w.end_day FROM span AS w)
        UNION ALL
        SELECT found.first_day, found.number >> 11, {{fn}}bits_of(found.number & 2047, 1)
        FROM (
            SELECT d.first_day, unnest(l.members) AS number
            FROM {{schema}}.rollup_lists AS l JOIN steps AS d ON d.day = l.day
            WHERE l.who = 0 AND l.series = 0
                AND l.day >= (SELECT w.first_day FROM span AS w) AND l.day < (SELECT w.end_day FROM span AS w)
            UNION ALL
            SELECT raw.first_day, raw.number FROM raw WHERE raw.number IS NOT NULL
        ) AS found
        GROUP BY 1, 2
    )
    SELECT m.first_day, m.chunk, bit_or(m.bits), NULL FROM members AS m GROUP BY m.first_day, m.chunk
    UNION ALL
    SELECT raw.first_day, NULL, NULL, raw.visitor_id FROM raw WHERE raw.number IS NULL
    UNION ALL
    SELECT DISTINCT d.first_day, NULL::integer, NULL::bit, NULL FROM steps AS d; END;

CREATE FUNCTION {{fn}}visitors_over(since timestamptz, until timestamptz, step text)
RETURNS TABLE (first_day date, visitors bigint)
LANGUAGE sql STABLE STRICT ROWS 40
BEGIN ATOMIC
    SELECT s.first_day, (coalesce(sum(bit_count(s.bits)), 0) + count(s.fresh))::bigint
    FROM {{fn}}visitor_sets(since, until, step) AS s
    GROUP BY s.first_day
    ORDER BY s.first_day; END;

-- Of those who came in a week, how many came in it and in each later one.
CREATE FUNCTION {{fn}}visitors_retained(since timestamptz, until timestamptz)
RETURNS TABLE (first_week date, weeks_later integer, visitors bigint)
LANGUAGE sql STABLE STRICT ROWS 100
BEGIN ATOMIC
    WITH weeks AS MATERIALIZED (SELECT s.* FROM {{fn}}visitor_sets(since, until, 'week') AS s)
    SELECT found.first_week, (found.week - found.first_week) / 7, sum(found.n)::bigint
    FROM (
        SELECT a.first_day AS first_week, b.first_day AS week, bit_count(a.bits & b.bits) AS n
        FROM weeks AS a JOIN weeks AS b ON b.chunk = a.chunk AND b.first_day >= a.first_day
        UNION ALL
        SELECT a.first_day, b.first_day, count(*)
        FROM weeks AS a JOIN weeks AS b ON b.fresh = a.fresh AND b.first_day >= a.first_day
        GROUP BY a.first_day, b.first_day
    ) AS found
    GROUP BY 1, 2
    ORDER BY 1, 2; END;

-- What an order is known by: its number, or a telling without one is an order of its own.
CREATE FUNCTION {{fn}}order_key(event_id uuid, properties jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(nullif(properties ->> 'order_id', ''), event_id::text);

-- The items of an order. Not STRICT, so that it is put into the statement that calls it.
CREATE FUNCTION {{fn}}order_items(items jsonb)
RETURNS TABLE (product text, units numeric, price numeric)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 3
BEGIN ATOMIC
    SELECT i.item ->> 'product_id',
        CASE WHEN jsonb_typeof(i.item -> 'quantity') = 'number' THEN (i.item ->> 'quantity')::numeric ELSE 1 END,
        CASE WHEN jsonb_typeof(i.item -> 'price') = 'number' THEN (i.item ->> 'price')::numeric END
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(items) = 'array' THEN items ELSE '[]' END) AS i (item); END;

-- Orders that the rollups cannot tell of a range by themselves, as the range tells them: those that pending flushes tell,
-- and those of which some tellings lie outside. An order without an amount stands back behind one with it.
CREATE FUNCTION {{fn}}loose_orders(since timestamptz, until timestamptz)
RETURNS TABLE (id text, occurred_at timestamptz, order_id text, amount numeric, currency text, method text, country text,
    device text, session_id text, session integer, products text[], units numeric[], prices numeric[])
LANGUAGE sql STABLE STRICT ROWS 10
BEGIN ATOMIC
    WITH pending AS MATERIALIZED (
        SELECT {{fn}}order_key(e.event_id, e.properties) AS id, e.*
        FROM {{schema}}.events AS e
        WHERE e.flush = ANY (ARRAY(SELECT p.flush FROM {{schema}}.rollup_pending AS p)) AND e.name = 'purchase'
            AND e.occurred_at >= since AND e.occurred_at < until
    ),
    loose AS MATERIALIZED (
        SELECT p.id FROM pending AS p
        UNION
        SELECT t.id FROM {{schema}}.rollup_purchases AS t WHERE t.told @> since
        UNION
        SELECT t.id FROM {{schema}}.rollup_purchases AS t WHERE t.told @> until
    ),
    told AS (
        SELECT p.id, p.event_id, p.occurred_at, p.properties ->> 'order_id' AS order_id, p.amount, p.currency,
            p.properties ->> 'payment_method' AS method, p.country, p.device, p.session_id,
            (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 1 AND n.id = p.session_id) AS session,
            i.products, i.units, i.prices
        FROM pending AS p
        CROSS JOIN LATERAL (
            SELECT array_agg(i.product) AS products, array_agg(i.units) AS units, array_agg(i.price) AS prices
            FROM {{fn}}order_items(p.properties -> 'items') AS i
        ) AS i
        UNION ALL
        SELECT t.id, t.event_id, t.occurred_at, t.order_id, t.amount, t.currency, t.method, t.country, t.device,
            t.session_id, t.session, t.products, t.units, t.prices
        FROM loose AS l JOIN {{schema}}.rollup_purchases AS t ON t.id = l.id
        WHERE t.occurred_at >= since AND t.occurred_at < until
    )
    SELECT DISTINCT ON (t.id)
        t.id, t.occurred_at, t.order_id, t.amount, t.currency, t.method, t.country, t.device,
        first_value(t.session_id) OVER (PARTITION BY t.id ORDER BY t.session_id),
        first_value(t.session) OVER (PARTITION BY t.id ORDER BY t.session_id), t.products, t.units, t.prices
    FROM told AS t
    ORDER BY t.id, t.amount IS NULL, t.occurred_at, t.event_id; END;

-- Orders of a range, the latest `most`: one that was told several times counts once, as it was told first with an amount.
CREATE FUNCTION {{fn}}orders(since timestamptz, until timestamptz, most bigint DEFAULT 9223372036854775807)
RETURNS TABLE (occurred_at timestamptz, order_id text, amount numeric, currency text, method text, country text,
    device text, session_id text, session integer)
LANGUAGE sql STABLE STRICT ROWS 1000
BEGIN ATOMIC
    WITH loose AS MATERIALIZED (SELECT l.* FROM {{fn}}loose_orders(since, until) AS l)
    SELECT o.* FROM (
        (
            SELECT p.occurred_at, p.order_id, p.amount, p.currency, p.method, p.country, p.device,
                coalesce(p.buyer_id, p.session_id), coalesce(p.buyer, p.session)
            FROM {{schema}}.rollup_purchases AS p
            WHERE p.occurred_at >= since AND p.occurred_at < until AND p.counts
                AND p.id NOT IN (SELECT l.id FROM loose AS l)
            ORDER BY p.occurred_at DESC, p.order_id
            LIMIT most
        )
        UNION ALL
        SELECT l.occurred_at, l.order_id, l.amount, l.currency, l.method, l.country, l.device, l.session_id, l.session
        FROM loose AS l
    ) AS o
    ORDER BY o.occurred_at DESC, o.order_id
    LIMIT most; END;

-- Orders of a range by the quarter of an hour, counted once each; `priced` of them have an amount.
CREATE FUNCTION {{fn}}order_counts(since timestamptz, until timestamptz)
RETURNS TABLE (quarter timestamptz, currency text, method text, n bigint, priced bigint, amount numeric)
LANGUAGE sql STABLE STRICT ROWS 1000
BEGIN ATOMIC
    WITH loose AS MATERIALIZED (SELECT l.* FROM {{fn}}loose_orders(since, until) AS l)
    SELECT date_bin('15 minutes', p.occurred_at, 'epoch'), p.currency, p.method, count(*), count(p.amount), sum(p.amount)
    FROM {{schema}}.rollup_purchases AS p
    WHERE p.occurred_at >= since AND p.occurred_at < until AND p.counts AND p.id NOT IN (SELECT l.id FROM loose AS l)
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT date_bin('15 minutes', l.occurred_at, 'epoch'), l.currency, l.method, count(*), count(l.amount), sum(l.amount)
    FROM loose AS l
    GROUP BY 1, 2, 3; END;

-- What was sold of each product in the orders of a range. An item without a price was sold for that at which its session
-- last saw it.
CREATE FUNCTION {{fn}}products_sold(since timestamptz, until timestamptz)
RETURNS TABLE (product text, units numeric, revenue numeric)
LANGUAGE sql STABLE STRICT ROWS 100
BEGIN ATOMIC
    WITH loose AS MATERIALIZED (SELECT l.* FROM {{fn}}loose_orders(since, until) AS l),
    items AS (
        SELECT coalesce(p.buyer_id, p.session_id) AS session_id, unnest(p.products) AS product, unnest(p.units) AS units,
            unnest(p.prices) AS price
        FROM {{schema}}.rollup_purchases AS p
        WHERE p.occurred_at >= since AND p.occurred_at < until AND p.counts
            AND p.id NOT IN (SELECT l.id FROM loose AS l)
        UNION ALL
        SELECT l.session_id, unnest(l.products), unnest(l.units), unnest(l.prices) FROM loose AS l
    ),
    -- By session too where there is no price.
    sold AS MATERIALIZED (
        SELECT CASE WHEN i.price IS NULL THEN i.session_id END AS session_id, i.product, sum(i.units) AS units,
            sum(i.units * i.price) AS revenue
        FROM items AS i
        WHERE i.product IS NOT NULL
        GROUP BY 1, 2
    ),
    prices AS (
        SELECT DISTINCT ON (e.session_id, e.properties ->> 'product_id')
            e.session_id, e.properties ->> 'product_id' AS product, (e.properties ->> 'price')::numeric AS price
        FROM {{schema}}.events AS e
        WHERE e.occurred_at >= since AND e.occurred_at < until AND e.name IN ('product_view', 'add_to_cart')
            AND jsonb_typeof(e.properties -> 'price') = 'number'
            AND EXISTS (SELECT FROM sold AS s WHERE s.session_id IS NOT NULL)
        ORDER BY e.session_id, e.properties ->> 'product_id', e.occurred_at DESC
    )
    SELECT s.product, sum(s.units), sum(coalesce(s.revenue, s.units * p.price))
    FROM sold AS s LEFT JOIN prices AS p ON p.session_id = s.session_id AND p.product = s.product
    GROUP BY s.product; END;

-- The days of a range, and whether their sessions were counted; with `rolled` false, none is said to be.
CREATE FUNCTION {{fn}}visit_ranges(since timestamptz, until timestamptz, rolled boolean)
RETURNS TABLE (day date, starts_at timestamptz, ends_at timestamptz, counted boolean)
LANGUAGE sql STABLE STRICT ROWS 40
BEGIN ATOMIC
    WITH changed AS MATERIALIZED (
        SELECT DISTINCT (c.at AT TIME ZONE z.zone)::date AS day
        FROM (SELECT {{fn}}rollup_zone() AS zone OFFSET 0) AS z
        CROSS JOIN (
            SELECT DISTINCT visit.at FROM {{schema}}.rollup_pending AS p CROSS JOIN LATERAL unnest(p.visits) AS visit (at)
        ) AS c
    )
    SELECT d.day, greatest(d.starts_at, since), least(d.ends_at, until),
        rolled AND d.starts_at >= since
        AND d.day IN (SELECT c.day FROM {{schema}}.rollup_visit_days AS c)
        AND d.day NOT IN (SELECT c.day FROM changed AS c)
        AND CASE WHEN d.ends_at <= until THEN true ELSE (
            SELECT count(*) FROM {{schema}}.sessions AS s WHERE s.started_at >= until AND s.started_at < d.ends_at
        ) = 0 END
    FROM {{fn}}local_days(since, until) AS d; END;

-- Sessions that started in certain times.
CREATE FUNCTION {{fn}}raw_visits(during tstzmultirange)
RETURNS TABLE (session_id text, started_at timestamptz, seconds numeric, visitor_id text, country text, device text,
    browser text, source text, campaign text)
LANGUAGE sql STABLE STRICT ROWS 1000
BEGIN ATOMIC
    SELECT s.session_id, s.started_at, extract(epoch FROM s.ended_at - s.started_at), s.visitor_id,
        coalesce(s.country, 'unknown'), coalesce(s.device, 'unknown'), coalesce(s.browser, 'unknown'),
        coalesce(s.utm_source, s.referrer, 'direct'), s.utm_campaign
    FROM unnest(during) AS r (span)
    JOIN {{schema}}.sessions AS s ON s.started_at >= lower(r.span) AND s.started_at < upper(r.span); END;

-- Sessions by what describes them: 0 nothing, 1 country, 2 device, 3 browser, 4 how long they lasted.
CREATE FUNCTION {{fn}}visit_counts(by_dimension integer, since timestamptz, until timestamptz)
RETURNS TABLE (value text, sessions bigint, seconds numeric)
LANGUAGE sql STABLE STRICT ROWS 50
BEGIN ATOMIC
    WITH ranges AS MATERIALIZED (SELECT r.* FROM {{fn}}visit_ranges(since, until, true) AS r)
    SELECT found.value, sum(found.sessions)::bigint, sum(found.seconds)
    FROM (
        SELECT v.value, v.sessions, v.seconds
        FROM ranges AS r
        JOIN {{schema}}.rollup_visits AS v ON v.dimension = by_dimension AND v.day = r.day
        WHERE r.counted
        UNION ALL
        SELECT CASE by_dimension WHEN 1 THEN s.country WHEN 2 THEN s.device WHEN 3 THEN s.browser
                WHEN 4 THEN {{fn}}visit_span(s.seconds)::text END, count(*), sum(s.seconds)
        FROM {{fn}}raw_visits((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS s
        GROUP BY 1
    ) AS found
    GROUP BY found.value; END;

-- Sessions and their visitors per step of a range: hour, day, week, month, or `all` of it.
CREATE FUNCTION {{fn}}visits_over(since timestamptz, until timestamptz, step text, zone text)
RETURNS TABLE ("time" timestamptz, sessions bigint, visitors bigint)
LANGUAGE sql STABLE STRICT ROWS 40
BEGIN ATOMIC
    WITH fits AS MATERIALIZED (
        SELECT step = 'all' OR (step <> 'hour' AND zone = {{fn}}rollup_zone()) AS rolled
    ),
    ranges AS MATERIALIZED (
        SELECT r.*, CASE step WHEN 'all' THEN since ELSE date_trunc(step, r.starts_at, zone) END AS "time"
        FROM fits CROSS JOIN LATERAL {{fn}}visit_ranges(since, until, fits.rolled) AS r
    ),
    raw AS MATERIALIZED (
        SELECT CASE step WHEN 'all' THEN since ELSE date_trunc(step, s.started_at, zone) END AS "time",
            s.visitor_id, CASE WHEN fits.rolled THEN (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = s.visitor_id) END AS number
        FROM fits CROSS JOIN LATERAL {{fn}}raw_visits((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS s
    ),
    members AS (
        SELECT r."time", b.chunk, b.bits
        FROM ranges AS r JOIN {{schema}}.rollup_bits AS b ON b.who = 2 AND b.series = 0 AND b.day = r.day
        WHERE r.counted
        UNION ALL
        SELECT raw."time", raw.number >> 11, {{fn}}bits_of(raw.number & 2047, 1)
        FROM raw WHERE raw.number IS NOT NULL
        GROUP BY 1, 2
    ),
    counted AS (
        SELECT r."time", v.sessions, 0 AS visitors
        FROM ranges AS r JOIN {{schema}}.rollup_visits AS v ON v.dimension = 0 AND v.day = r.day
        WHERE r.counted
        UNION ALL
        SELECT u."time", 0, u.n
        FROM (
            SELECT m."time", m.chunk, bit_count(bit_or(m.bits)) AS n FROM members AS m GROUP BY m."time", m.chunk
        ) AS u
        UNION ALL
        SELECT raw."time", count(*), count(DISTINCT raw.visitor_id) FILTER (WHERE raw.number IS NULL)
        FROM raw GROUP BY raw."time"
    )
    SELECT c."time", sum(c.sessions)::bigint, sum(c.visitors)::bigint FROM counted AS c GROUP BY c."time"; END;

-- Where the sessions of a range came from, the most frequent first.
CREATE FUNCTION {{fn}}visit_sources(since timestamptz, until timestamptz, most bigint)
RETURNS TABLE (source text, campaign text, sessions bigint, visitors bigint, seconds numeric)
LANGUAGE sql STABLE STRICT ROWS 50
BEGIN ATOMIC
    WITH ranges AS MATERIALIZED (SELECT r.* FROM {{fn}}visit_ranges(since, until, true) AS r),
    days AS MATERIALIZED (SELECT r.day, {{fn}}block_of(r.day) AS block FROM ranges AS r WHERE r.counted),
    raw AS MATERIALIZED (
        SELECT s.source, s.campaign, s.visitor_id, s.seconds, (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 0 AND n.id = s.visitor_id) AS number
        FROM {{fn}}raw_visits((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS s
    ),
    chosen AS MATERIALIZED (
        SELECT top.*, row_number() OVER () AS place, known.id AS series
        FROM (
            SELECT found.source, found.campaign, sum(found.sessions)::bigint AS sessions, sum(found.seconds) AS seconds
            FROM (
                SELECT f.source, f.campaign, v.sessions, v.seconds
                FROM (
                    SELECT v.source, sum(v.sessions) AS sessions, sum(v.seconds) AS seconds
                    FROM days AS d JOIN {{schema}}.rollup_visits AS v ON v.dimension = 5 AND v.day = d.day
                    GROUP BY v.source
                ) AS v
                JOIN {{schema}}.rollup_sources AS f ON f.id = v.source
                UNION ALL
                SELECT raw.source, raw.campaign, count(*), sum(raw.seconds) FROM raw GROUP BY raw.source, raw.campaign
            ) AS found
            GROUP BY found.source, found.campaign
            ORDER BY 3 DESC, 1, 2
            LIMIT most
        ) AS top
        LEFT JOIN {{schema}}.rollup_sources AS known ON known.source = top.source
            AND known.campaign IS NOT DISTINCT FROM top.campaign
    ),
    -- Sets of several days serve where all of these days do.
    blocks AS MATERIALIZED (
        SELECT k.series, k.block
        FROM (SELECT d.block FROM days AS d GROUP BY d.block HAVING count(*) = {{fn}}block_days()) AS d
        JOIN {{schema}}.rollup_blocks AS k ON k.who = 4 AND k.block = d.block
    ),
    members AS (
        SELECT q.place, 4 * q.quad + g.n AS chunk, substring(q.bits FROM 1 + 2048 * g.n FOR 2048) AS bits
        FROM (
            SELECT c.place, b.quad, bit_or(b.bits) AS bits
            FROM chosen AS c
            JOIN blocks AS k ON k.series = c.series
            JOIN {{schema}}.rollup_block_bits AS b ON b.who = 4 AND b.series = k.series AND b.block = k.block
            GROUP BY c.place, b.quad
        ) AS q
        CROSS JOIN (VALUES (0), (1), (2), (3)) AS g (n)
        UNION ALL
        SELECT c.place, b.chunk, b.bits
        FROM chosen AS c
        JOIN {{schema}}.rollup_bits AS b ON b.who = 4 AND b.series = c.series
        JOIN days AS d ON d.day = b.day
        WHERE (c.series, d.block) NOT IN (SELECT k.series, k.block FROM blocks AS k)
        UNION ALL
        SELECT found.place, found.number >> 11 AS chunk, {{fn}}bits_of(found.number & 2047, 1) AS bits
        FROM (
            SELECT c.place, unnest(l.members) AS number
            FROM chosen AS c
            JOIN {{schema}}.rollup_lists AS l ON l.who = 4 AND l.series = c.series
            JOIN days AS d ON d.day = l.day
            WHERE (c.series, d.block) NOT IN (SELECT k.series, k.block FROM blocks AS k)
            UNION ALL
            SELECT c.place, raw.number
            FROM raw JOIN chosen AS c ON c.source = raw.source AND c.campaign IS NOT DISTINCT FROM raw.campaign
            WHERE raw.number IS NOT NULL
        ) AS found
        GROUP BY 1, 2
    ),
    counted AS (
        SELECT u.place, u.n AS visitors
        FROM (
            SELECT m.place, m.chunk, bit_count(bit_or(m.bits)) AS n FROM members AS m GROUP BY m.place, m.chunk
        ) AS u
        UNION ALL
        SELECT c.place, count(DISTINCT raw.visitor_id)
        FROM raw JOIN chosen AS c ON c.source = raw.source AND c.campaign IS NOT DISTINCT FROM raw.campaign
        WHERE raw.number IS NULL
        GROUP BY c.place
    )
    SELECT c.source, c.campaign, c.sessions, coalesce(sum(k.visitors), 0)::bigint, c.seconds
    FROM chosen AS c LEFT JOIN counted AS k ON k.place = c.place
    GROUP BY c.place, c.source, c.campaign, c.sessions, c.seconds
    ORDER BY c.place; END;

-- The sessions that started in a range, and how many of them did what on the way to an order in it.
CREATE FUNCTION {{fn}}shop_visits(since timestamptz, until timestamptz)
RETURNS TABLE (visits bigint, looked bigint, added bigint, checked_out bigint, paid bigint, looked_and_added bigint,
    orders bigint)
LANGUAGE sql STABLE STRICT ROWS 1
BEGIN ATOMIC
    WITH ranges AS MATERIALIZED (SELECT r.* FROM {{fn}}visit_ranges(since, until, true) AS r),
    span AS MATERIALIZED (SELECT s.* FROM {{fn}}event_span(since, until) AS s),
    started AS MATERIALIZED (
        SELECT s.session_id, (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 1 AND n.id = s.session_id) AS number
        FROM {{fn}}raw_visits((
            SELECT coalesce(range_agg(tstzrange(r.starts_at, r.ends_at)) FILTER (WHERE NOT r.counted), '{}') FROM ranges AS r
        )) AS s
    ),
    steps AS MATERIALIZED (
        SELECT s.id AS series, s.name FROM {{schema}}.rollup_series AS s
        WHERE s.name IN ('product_view', 'add_to_cart', 'checkout_start') AND md5(s.detail) IS NULL
    ),
    raw AS MATERIALIZED (
        SELECT met.*, (SELECT n.n FROM {{schema}}.rollup_people AS n WHERE n.who = 1 AND n.id = met.session_id) AS number
        FROM (
            SELECT e.session_id, bool_or(e.name = 'product_view') AS looked, bool_or(e.name = 'add_to_cart') AS added,
                bool_or(e.name = 'checkout_start') AS checked_out
            FROM span AS w CROSS JOIN LATERAL {{fn}}raw_events('', since, until, w.whole_from, w.whole_to) AS e
            WHERE e.session_id IS NOT NULL AND e.name IN ('product_view', 'add_to_cart', 'checkout_start')
            GROUP BY e.session_id
        ) AS met
    ),
    loose AS MATERIALIZED (SELECT l.id, l.session_id, l.session FROM {{fn}}loose_orders(since, until) AS l),
    bought AS MATERIALIZED (
        SELECT coalesce(p.buyer, p.session) AS session
        FROM {{schema}}.rollup_purchases AS p
        WHERE p.occurred_at >= since AND p.occurred_at < until AND p.counts
            AND p.id NOT IN (SELECT l.id FROM loose AS l)
        UNION ALL
        SELECT l.session FROM loose AS l
    ),
    members AS (
        SELECT 'visit' AS name, b.chunk, b.bits
        FROM ranges AS r
        JOIN {{schema}}.rollup_bits AS b ON b.who = 3 AND b.series = 0 AND b.day = r.day
        WHERE r.counted
        UNION ALL
        SELECT s.name, b.chunk, b.bits
        FROM steps AS s
        JOIN {{schema}}.rollup_bits AS b ON b.who = 1 AND b.series = s.series
            AND b.day >= (SELECT w.first_day FROM span AS w) AND b.day < (SELECT w.end_day FROM span AS w)
        UNION ALL
        SELECT found.name, found.number >> 11, {{fn}}bits_of(found.number & 2047, 1)
        FROM (
            SELECT s.name, unnest(l.members) AS number
            FROM steps AS s
            JOIN {{schema}}.rollup_lists AS l ON l.who = 1 AND l.series = s.series
                AND l.day >= (SELECT w.first_day FROM span AS w) AND l.day < (SELECT w.end_day FROM span AS w)
            UNION ALL
            SELECT did.name, raw.number
            FROM raw CROSS JOIN LATERAL (
                VALUES ('product_view', raw.looked), ('add_to_cart', raw.added), ('checkout_start', raw.checked_out)
            ) AS did (name, so)
            WHERE did.so
            UNION ALL
            SELECT 'visit', started.number FROM started
            UNION ALL
            SELECT 'order', bought.session FROM bought
        ) AS found
        WHERE found.number IS NOT NULL
        GROUP BY 1, 2
    ),
    chunks AS (
        SELECT bit_or(m.bits) FILTER (WHERE m.name = 'visit') AS visits,
            bit_or(m.bits) FILTER (WHERE m.name = 'product_view') AS looked,
            bit_or(m.bits) FILTER (WHERE m.name = 'add_to_cart') AS added,
            bit_or(m.bits) FILTER (WHERE m.name = 'checkout_start') AS checked_out,
            bit_or(m.bits) FILTER (WHERE m.name = 'order') AS paid
        FROM members AS m
        GROUP BY m.chunk
    ),
    counted AS (
        SELECT bit_count(c.visits) AS visits, bit_count(c.visits & c.looked) AS looked,
            bit_count(c.visits & c.added) AS added, bit_count(c.visits & c.checked_out) AS checked_out,
            bit_count(c.visits & c.paid) AS paid, bit_count(c.visits & c.looked & c.added) AS looked_and_added
        FROM chunks AS c
        UNION ALL
        SELECT 1, raw.looked::int, raw.added::int, raw.checked_out::int, (buyers.session_id IS NOT NULL)::int,
            (raw.looked AND raw.added)::int
        FROM started
        LEFT JOIN raw ON raw.session_id = started.session_id
        LEFT JOIN (SELECT DISTINCT l.session_id FROM loose AS l) AS buyers ON buyers.session_id = started.session_id
        WHERE started.number IS NULL
    )
    SELECT coalesce(sum(c.visits), 0)::bigint, coalesce(sum(c.looked), 0)::bigint, coalesce(sum(c.added), 0)::bigint,
        coalesce(sum(c.checked_out), 0)::bigint, coalesce(sum(c.paid), 0)::bigint,
        coalesce(sum(c.looked_and_added), 0)::bigint, (SELECT count(*) FROM bought)
    FROM counted AS c; END;
