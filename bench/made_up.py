"""Made-up events of one client, written by the database itself into the very tables that ingest fills."""

from datetime import datetime

import asyncpg
import msgspec

from tenants.ids import quote

_EVENTS = """
INSERT INTO {schema}.events (
    event_id, name, occurred_at, received_at, session_id, visitor_id, page_url, page_path, page_title, referrer,
    utm_source, device, browser, os, country, amount, currency, properties, key_id, flush
)
SELECT gen_random_uuid(), m.name, m.at, m.at, 's-' || m.session, 'v-' || m.visitor, 'https://x.example/p' || m.page,
    '/p' || m.page, 'Page ' || m.page, 'https://r' || m.session % 50 || '.example/',
    CASE WHEN m.session % 3 = 0 THEN 'source ' || m.session % 7 END,
    (ARRAY['desktop', 'mobile', 'tablet'])[1 + m.session % 3],
    (ARRAY['Chrome', 'Safari', 'Firefox', 'Edge'])[1 + m.session % 4], 'an OS', 'C' || m.visitor % 30,
    CASE m.name WHEN 'purchase' THEN m.session % 200 + 0.5 END, CASE m.name WHEN 'purchase' THEN 'EUR' END,
    CASE m.name
        WHEN 'product_view' THEN jsonb_build_object('product_id', 'p' || m.page % 100, 'price', m.page % 100 + 1)
        WHEN 'add_to_cart' THEN jsonb_build_object('product_id', 'p' || m.page % 100, 'price', m.page % 100 + 1)
        WHEN 'purchase' THEN jsonb_build_object('order_id', 'o' || m.i, 'payment_method',
            (ARRAY['card', 'paypal', 'invoice'])[1 + m.session % 3], 'items', jsonb_build_array(jsonb_build_object(
            'product_id', 'p' || m.page % 100, 'quantity', 1, 'price', m.page % 100 + 1)))
        WHEN 'external_link_click' THEN jsonb_build_object('href', 'https://l' || m.page % 40 || '.example/')
        WHEN 'section_view' THEN jsonb_build_object('section', 'section ' || m.page % 5)
        ELSE '{{"step": 1, "scroll": 9, "theme": "dark"}}'
    END, '00000000-0000-4000-8000-000000000001', m.i / 200 + 1
FROM (
    SELECT r.i, r.session, abs(hashint4(r.session)) % $2 AS visitor,
        $4::timestamptz - make_interval(days => 90) + r.i * (interval '90 days' / $1) AS at,
        floor($3 * power(r.page, 2))::integer AS page,
        CASE WHEN r.kind < 0.60 THEN 'page_view' WHEN r.kind < 0.80 THEN 'product_view'
             WHEN r.kind < 0.88 THEN 'add_to_cart' WHEN r.kind < 0.92 THEN 'checkout_start'
             WHEN r.kind < 0.94 THEN 'purchase' WHEN r.kind < 0.97 THEN 'section_view'
             ELSE 'external_link_click' END AS name
    FROM (
        -- Sessions of seven events, twenty of them side by side.
        SELECT i::integer, (i / 140 * 20 + i % 20)::integer AS session, random() AS kind, random() AS page
        FROM generate_series(0, $1::bigint - 1) AS i
    ) AS r
) AS m
"""
_SESSIONS = """
INSERT INTO {schema}.sessions (
    session_id, visitor_id, started_at, ended_at, events, page_views, entry_event, exit_event, referrer, utm_source,
    device, browser, os, country, channel, started_before
)
SELECT e.session_id, min(e.visitor_id), min(e.occurred_at), max(e.occurred_at), count(*),
    count(*) FILTER (WHERE e.name = 'page_view'), (array_agg(e.event_id))[1], (array_agg(e.event_id))[1],
    min(e.referrer), min(e.utm_source), min(e.device), min(e.browser), min(e.os), min(e.country),
    CASE WHEN min(e.utm_source) IS NULL THEN 'referral' ELSE 'campaign' END, min(e.occurred_at)
FROM {schema}.events AS e
GROUP BY e.session_id
ORDER BY min(e.occurred_at)
"""
_PENDING = """
INSERT INTO {schema}.rollup_pending (flush, events, visits)
SELECT e.flush, count(*), '{{}}' FROM {schema}.events AS e GROUP BY e.flush
"""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What to make up: fewer visits go to the later pages; referrers are 50, countries 30, days 90."""

    events: int = 5_000_000
    visitors: int = 200_000
    pages: int = 500


async def fill(url: str, schema: str, shape: Shape, now: datetime) -> None:
    """Write events until now, their sessions, and the flushes that wait to be rolled up."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        values = (shape.events, shape.visitors, shape.pages, now)
        await connection.execute(_EVENTS.format(schema=quote(schema)), *values)
        await connection.execute(_SESSIONS.format(schema=quote(schema)))
        await connection.execute(_PENDING.format(schema=quote(schema)))
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
