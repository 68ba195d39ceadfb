"""The panels of the event dashboards as questions to a column store, by their titles.

Used by `column_store`. Each asks raw events for what its panel shows; where a panel shows a little more (an order's first
telling, a source's campaign), the engine is spared that.
"""

from collections.abc import Mapping

_SESSIONS = (
    "(SELECT session_id, min(occurred_at) AS started, max(occurred_at) - min(occurred_at) AS lasted, "
    "any(visitor_id) AS visitor_id, argMin(country, occurred_at) AS country, argMin(device, occurred_at) AS device, "
    "argMin(browser, occurred_at) AS browser, argMin(source, occurred_at) AS source FROM d.events WHERE {during} "
    "GROUP BY session_id)"
)
_ORDERS = (
    "(SELECT order_id, argMin(amount, occurred_at) AS amount, argMin(currency, occurred_at) AS currency, "
    "argMin(method, occurred_at) AS method, min(occurred_at) AS at FROM d.events WHERE {during} AND name = 'purchase' "
    "GROUP BY order_id)"
)
_DETAILS = (
    "SELECT detail, count() AS n{visitors} FROM d.events WHERE {{during}} AND name = '{name}' "
    "GROUP BY detail ORDER BY n DESC, detail LIMIT {most}"
)
_BY = "SELECT {column}, count() AS n FROM {sessions} GROUP BY {column} ORDER BY n DESC, {column} LIMIT {most}"
_VISITORS = ", uniqExact(visitor_id)"
_FUNNEL = (
    "(SELECT session_id, countIf(name = 'product_view') AS looked, countIf(name = 'add_to_cart') AS added, "
    "countIf(name = 'checkout_start') AS began, countIf(name = 'purchase') AS paid FROM d.events WHERE {during} "
    "GROUP BY session_id)"
)


def write_panels(during: str, zone: str) -> Mapping[str, str]:
    """Write the panels' SQL for a condition on `occurred_at` and a time zone."""
    return {title: sql.format(during=during, zone=zone) for title, sql in {**_PORTFOLIO, **_SHOP}.items()}


def _details(name: str, most: int, visitors: str = "") -> str:
    return _DETAILS.format(name=name, most=most, visitors=visitors)


def _sessions_by(column: str, most: int) -> str:
    return _BY.format(column=column, most=most, sessions=_SESSIONS)


_PORTFOLIO = {
    "Portfolio: At a glance": "SELECT countIf(name = 'page_view'), countIf(name = 'project_click'), "
    "countIf(name = 'external_link_click'), countIf(name = 'form_submit'), uniqExact(session_id), "
    f"uniqExact(visitor_id), (SELECT avg(lasted) FROM {_SESSIONS}) FROM d.events WHERE {{during}}",
    "Portfolio: Visits over time": "SELECT toDate(started, '{zone}') AS day, count(), uniqExact(visitor_id) "
    f"FROM {_SESSIONS} GROUP BY day ORDER BY day",
    "Portfolio: Views by section": _details("section_view", 12),
    "Portfolio: Project clicks": _details("project_click", 12),
    "Portfolio: External links": _details("external_link_click", 25, _VISITORS),
    "Portfolio: Pages": _details("page_view", 25, _VISITORS),
    "Portfolio: Countries": _sessions_by("country", 15),
    "Portfolio: Devices": _sessions_by("device", 10),
    "Portfolio: Browsers": _sessions_by("browser", 10),
    "Portfolio: Session duration": "SELECT multiIf(lasted < 10, 1, lasted < 30, 2, lasted < 60, 3, lasted < 180, 4, "
    f"lasted < 600, 5, lasted < 1800, 6, 7) AS span, count() FROM {_SESSIONS} GROUP BY span ORDER BY span",
    "Portfolio: Where visitors come from": "SELECT source, count() AS n, uniqExact(visitor_id), avg(lasted) "
    f"FROM {_SESSIONS} GROUP BY source ORDER BY n DESC, source LIMIT 20",
}
_SHOP = {
    "E-commerce: At a glance": "SELECT sum(looked), sum(added), countIf(looked > 0 AND added > 0), countIf(looked > 0), "
    f"countIf(paid > 0), count() FROM {_FUNNEL}",
    "E-commerce: Revenue": f"SELECT currency, sum(amount) AS total FROM {_ORDERS} GROUP BY currency ORDER BY total DESC",
    "E-commerce: Average order": "SELECT currency, avg(amount) AS average "
    f"FROM {_ORDERS} GROUP BY currency ORDER BY average DESC",
    "E-commerce: Purchase funnel": "SELECT count(), countIf(looked > 0), countIf(added > 0), countIf(began > 0), "
    f"countIf(paid > 0) FROM {_FUNNEL}",
    "E-commerce: Revenue over time": "SELECT toDate(at, '{zone}') AS day, currency, sum(amount) "
    f"FROM {_ORDERS} GROUP BY day, currency ORDER BY day, currency",
    "E-commerce: Shopping over time": "SELECT toDate(occurred_at, '{zone}') AS day, countIf(name = 'product_view'), "
    "countIf(name = 'add_to_cart'), uniqExactIf(order_id, name = 'purchase') FROM d.events WHERE {during} "
    "AND name IN ('product_view', 'add_to_cart', 'purchase') GROUP BY day ORDER BY day",
    "E-commerce: Top products": "SELECT product, sum(views), sum(adds), sum(units), sum(revenue) AS earned FROM ("
    "SELECT detail AS product, countIf(name = 'product_view') AS views, countIf(name = 'add_to_cart') AS adds, "
    "0. AS units, 0. AS revenue FROM d.events WHERE {during} AND name IN ('product_view', 'add_to_cart') GROUP BY detail "
    "UNION ALL SELECT item.1, 0, 0, item.2, item.2 * item.3 FROM (SELECT order_id, argMin(items, occurred_at) AS items "
    "FROM d.events WHERE {during} AND name = 'purchase' GROUP BY order_id) ARRAY JOIN items AS item"
    ") GROUP BY product ORDER BY earned DESC, product LIMIT 50",
    "E-commerce: Payment methods": f"SELECT method, count() AS n FROM {_ORDERS} GROUP BY method ORDER BY n DESC, method",
    "E-commerce: Latest orders": "SELECT occurred_at, order_id, amount, currency, method, country, device FROM d.events "
    "WHERE {during} AND name = 'purchase' ORDER BY occurred_at DESC, order_id LIMIT 100",
}
