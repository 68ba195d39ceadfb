-- What events say of orders, products, carts, payments, searches and registrations: line 0 of an event, and a line for
-- each item that it lists. Written with the event, never changed. `reference` tells refunds of an order apart.
CREATE TABLE {{schema}}.commerce_facts (
    event_id       uuid        NOT NULL,
    line           integer     NOT NULL,
    kind           text        NOT NULL,
    action         text        NOT NULL,
    occurred_at    timestamptz NOT NULL,
    order_id       text,
    product_id     text,
    quantity       numeric(20, 6),
    price          numeric(20, 6),
    amount         numeric(20, 6),
    currency       text,
    payment_method text,
    reference      text,
    term           text,
    session_id     text,
    visitor_id     text,
    user_id        text
);

CREATE INDEX commerce_facts_occurred_at ON {{schema}}.commerce_facts USING brin (occurred_at);
-- Views and searches are many, orders few.
CREATE INDEX commerce_facts_of_orders ON {{schema}}.commerce_facts (occurred_at)
    WHERE kind IN ('order', 'payment', 'refund', 'item');
-- Facts of one order, whenever they happened.
CREATE INDEX commerce_facts_by_order ON {{schema}}.commerce_facts ((coalesce(order_id, event_id::text)))
    WHERE kind IN ('order', 'payment', 'refund', 'item');

-- Orders of which something happened in a range, with all that is known of them, whenever it happened: reads these alone.
-- One row per order and currency, whatever order its facts came in and however often they were told: it was placed and
-- paid once, as it was first told with an amount, and refunded once per `reference`; a refund without an amount is of
-- all that was paid. A refund without a currency is in that of its payment, all else in the only one of its order. Without
-- an order's number each telling is an order of its own.
CREATE FUNCTION {{fn}}orders_between(since timestamptz, until timestamptz)
RETURNS TABLE (
    order_key text, order_id text, currency text, state text, placed numeric, paid numeric, refunded numeric, net numeric,
    placed_at timestamptz, paid_at timestamptz, refunded_at timestamptz, payment_method text, user_id text,
    visitor_id text, session_id text
)
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
WITH told AS (
    SELECT coalesce(f.order_id, f.event_id::text) AS order_key, f.*
    FROM {{schema}}.commerce_facts AS f
    WHERE f.kind IN ('order', 'payment', 'refund') AND coalesce(f.order_id, f.event_id::text) = ANY (ARRAY(
        SELECT DISTINCT coalesce(r.order_id, r.event_id::text)
        FROM {{schema}}.commerce_facts AS r
        WHERE r.kind IN ('order', 'payment', 'refund') AND r.occurred_at >= since AND r.occurred_at < until
    ))
),
seen AS (
    SELECT t.order_key, min(t.order_id) AS order_id,
        CASE WHEN min(t.currency) = max(t.currency) THEN min(t.currency) END AS currency,
        min(t.occurred_at) FILTER (WHERE t.kind <> 'refund') AS placed_at,
        max(t.occurred_at) FILTER (WHERE t.kind = 'refund') AS refunded_at,
        bool_or(t.action = 'cancelled') AS cancelled, bool_or(t.action = 'delivered') AS delivered,
        bool_or(t.action = 'shipped') AS shipped, bool_or(t.action = 'confirmed') AS confirmed,
        bool_or(t.action = 'completed') AS paid, bool_or(t.action = 'failed') AS failed,
        bool_or(t.action = 'started') AS started,
        min(t.user_id) AS user_id, min(t.visitor_id) AS visitor_id, min(t.session_id) AS session_id,
        (array_agg(t.payment_method ORDER BY t.action <> 'completed', t.occurred_at, t.event_id)
            FILTER (WHERE t.payment_method IS NOT NULL))[1] AS payment_method
    FROM told AS t
    GROUP BY t.order_key
),
placed AS (
    SELECT DISTINCT ON (t.order_key) t.order_key, t.currency, t.amount
    FROM told AS t
    WHERE t.kind = 'order' AND t.action <> 'cancelled'
    ORDER BY t.order_key, t.amount IS NULL, t.occurred_at, t.event_id
),
paid AS (
    SELECT DISTINCT ON (t.order_key) t.order_key, t.currency, t.amount, t.occurred_at
    FROM told AS t
    WHERE t.action = 'completed'
    ORDER BY t.order_key, t.amount IS NULL, t.occurred_at, t.event_id
),
refunded AS (
    SELECT DISTINCT ON (t.order_key, coalesce(t.reference, t.event_id::text)) t.order_key, t.currency, t.amount
    FROM told AS t
    WHERE t.kind = 'refund'
    ORDER BY t.order_key, coalesce(t.reference, t.event_id::text), t.amount IS NULL, t.occurred_at, t.event_id
),
money AS (
    SELECT p.order_key, p.currency, p.amount AS placed, NULL::numeric AS paid, NULL::numeric AS refunded, false AS whole
    FROM placed AS p
    WHERE p.amount IS NOT NULL
    UNION ALL
    SELECT p.order_key, p.currency, NULL, p.amount, NULL, false FROM paid AS p WHERE p.amount IS NOT NULL
    UNION ALL
    SELECT r.order_key, coalesce(r.currency, p.currency), NULL, NULL, r.amount, r.amount IS NULL
    FROM refunded AS r LEFT JOIN paid AS p ON p.order_key = r.order_key
),
sums AS (
    SELECT m.order_key, coalesce(m.currency, s.currency) AS currency, sum(m.placed) AS placed,
        coalesce(sum(m.paid), 0) AS paid,
        CASE WHEN bool_or(m.whole) THEN greatest(coalesce(sum(m.paid), 0), coalesce(sum(m.refunded), 0))
            ELSE coalesce(sum(m.refunded), 0) END AS refunded,
        bool_or(m.whole) AS whole
    FROM money AS m JOIN seen AS s ON s.order_key = m.order_key
    GROUP BY 1, 2
)
SELECT s.order_key, s.order_id, coalesce(m.currency, s.currency) AS currency,
    CASE
        WHEN s.cancelled THEN 'cancelled'
        WHEN m.whole OR (m.refunded > 0 AND m.refunded >= m.paid) THEN 'refunded'
        WHEN m.refunded > 0 THEN 'partly_refunded'
        WHEN s.delivered THEN 'delivered'
        WHEN s.shipped THEN 'shipped'
        WHEN s.confirmed THEN 'confirmed'
        WHEN s.paid THEN 'paid'
        WHEN s.failed THEN 'payment_failed'
        WHEN s.started THEN 'payment_started'
        ELSE 'created'
    END AS state,
    m.placed, coalesce(m.paid, 0) AS paid, coalesce(m.refunded, 0) AS refunded,
    coalesce(m.paid, 0) - coalesce(m.refunded, 0) AS net,
    s.placed_at, p.occurred_at AS paid_at, s.refunded_at, s.payment_method, s.user_id, s.visitor_id, s.session_id
FROM seen AS s
LEFT JOIN sums AS m ON m.order_key = s.order_key
LEFT JOIN paid AS p ON p.order_key = s.order_key; END;

CREATE VIEW {{schema}}.orders AS SELECT o.* FROM {{fn}}orders_between('-infinity', 'infinity') AS o;

-- The items of orders of which an item was told in a range. What an order is made of: as one telling lists it, its payment before others; else what was told product by product,
-- each once.
CREATE FUNCTION {{fn}}order_items_between(since timestamptz, until timestamptz)
RETURNS TABLE (
    order_key text, order_id text, line integer, product_id text, quantity numeric, price numeric, amount numeric,
    currency text, occurred_at timestamptz, event_id uuid, user_id text, visitor_id text, session_id text
)
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
WITH lines AS (
    SELECT coalesce(f.order_id, f.event_id::text) AS order_key, f.*
    FROM {{schema}}.commerce_facts AS f
    WHERE f.kind = 'item' AND coalesce(f.order_id, f.event_id::text) = ANY (ARRAY(
        SELECT DISTINCT coalesce(r.order_id, r.event_id::text)
        FROM {{schema}}.commerce_facts AS r
        WHERE r.kind = 'item' AND r.occurred_at >= since AND r.occurred_at < until
    ))
),
listings AS (
    SELECT DISTINCT ON (l.order_key) l.order_key, l.event_id
    FROM lines AS l
    WHERE l.action <> 'sold'
    ORDER BY l.order_key, l.action <> 'paid', l.occurred_at, l.event_id
),
counted AS (
    SELECT l.* FROM lines AS l JOIN listings AS c ON c.order_key = l.order_key AND c.event_id = l.event_id
    WHERE l.action <> 'sold'
    UNION ALL
    (
        SELECT DISTINCT ON (l.order_key, l.product_id) l.*
        FROM lines AS l
        WHERE l.action = 'sold' AND NOT EXISTS (SELECT FROM listings AS c WHERE c.order_key = l.order_key)
        ORDER BY l.order_key, l.product_id, l.occurred_at, l.event_id
    )
)
SELECT c.order_key, c.order_id, c.line, c.product_id, c.quantity, c.price, c.amount, c.currency, c.occurred_at,
    c.event_id, c.user_id, c.visitor_id, c.session_id
FROM counted AS c; END;

CREATE VIEW {{schema}}.order_items AS SELECT i.* FROM {{fn}}order_items_between('-infinity', 'infinity') AS i;

GRANT SELECT, INSERT, DELETE ON {{schema}}.commerce_facts TO {{writer}};
GRANT SELECT ON {{schema}}.commerce_facts, {{schema}}.orders, {{schema}}.order_items TO {{reader}}, {{login}};
