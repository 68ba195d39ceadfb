"""Have `OPTIONS` tell every method of a path. Called by Litestar for each route that `app.asgi` gives it.

The framework's own answer is made with a path's first handler, and does not get to know of those that follow.
"""

from typing import TYPE_CHECKING, cast

from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

if TYPE_CHECKING:
    from litestar import Litestar


class MethodsTold(ReceiveRoutePlugin):
    """Makes the answer anew from what a route has by then."""

    def receive_route(self, route: BaseRoute) -> None:
        """Replace the framework's answer, if it is that."""
        if not isinstance(route, HTTPRoute):
            return
        known, _ = route.route_handler_map["OPTIONS"]
        if known.fn.__module__ == HTTPRoute.__module__:
            anew = route.create_options_handler(route.path)
            anew.owner = known.owner
            anew.on_registration(cast("Litestar", anew.ownership_layers[0]))
            route.route_handler_map["OPTIONS"] = anew, anew.create_kwargs_model(route.path_parameters)
