"""The routes of the login pages, with what they all depend on.

Listed by `app.asgi`. A page's errors are pages; its body is a small form.
"""

from litestar import Router
from litestar.di import Provide

from app.console import assets, links, login, ownership
from app.console.entrance import Entrance
from app.console.errors import answer_error
from app.console.forms import MAX_FORM_BYTES, require_form
from app.console.link_desk import LinkDesk
from app.console.visit import provide_visit

handlers = [
    *assets.handlers,
    *ownership.handlers,
    Router(
        "/",
        route_handlers=[
            login.show_login,
            login.log_in,
            login.show_logout,
            login.log_out,
            links.show_link,
            links.use_link,
            links.show_reset,
            links.order_reset,
        ],
        dependencies={
            "visit": Provide(provide_visit),
            "entrance": Provide(Entrance, sync_to_thread=False),
            "links": Provide(LinkDesk, sync_to_thread=False),
        },
        before_request=require_form,
        exception_handlers={Exception: answer_error},
        request_max_body_size=MAX_FORM_BYTES,
    ),
]
