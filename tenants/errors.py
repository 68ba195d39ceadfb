"""What can go wrong, named for what happened; knows no HTTP (`app.problems` maps each to an answer)."""


class GroveError(Exception):
    """The root of all expected failures.

    `field` names the offending input as a JSON pointer where there is one; `operation_id` the operation that tells,
    step by step, what happened, where it was one that failed.
    """

    def __init__(self, detail: str = "", *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.operation_id: str | None = None


class NotFound(GroveError):
    """No such thing, or it belongs to somebody else: the answer is the same on purpose."""


class InputRefused(GroveError):
    """A value is malformed, reserved or out of range. `errors` lists further (pointer, detail) pairs."""

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        code: str = "invalid",
        errors: list[tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(detail, field=field)
        self.code = code
        self.errors = errors or ([(field, detail)] if field else [])


class AlreadyTaken(GroveError):
    """An id, domain or name that must be unique is in use."""


class IncompatibleSchema(GroveError):
    """A new version of an event schema takes away what is relied on. `errors` lists (pointer, detail) pairs."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("The change breaks what senders and readers rely on; say `force` to make it all the same.")
        self.errors = errors


class WrongState(GroveError):
    """The thing exists, but not in a state in which this can be done."""


class ClientLeaving(WrongState):
    """The client is being deleted: what would make something for it waits until it is restored, or gone."""


class DatabaseRefused(GroveError):
    """A client's database URL cannot be used: unreachable, wrong, writable only, or not empty."""


class Unauthenticated(GroveError):
    """No key, or one that is malformed, unknown, expired or revoked."""


class Forbidden(GroveError):
    """The key is valid and the object is its own client's, but the key's scopes do not allow this."""


class OriginRefused(Forbidden):
    """A browser's key came from an origin that it is not allowed from."""


class ClientSuspended(GroveError):
    """The client's access is suspended or being deleted."""


class ChatTablesReadOnly(GroveError):
    """The client's chatbot tables are an attached database that Grove only reads."""


class IdempotencyConflict(GroveError):
    """The same Idempotency-Key came with another request."""


class QueueFull(GroveError):
    """A bounded queue has no room: a client's for ingest, or the gateway's. `retry_after_s` says when to come back."""

    def __init__(
        self, retry_after_s: int, detail: str = "Too many events are waiting for this client's database."
    ) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class RateLimited(GroveError):
    """A client or a key has used up what it may send. `headers` tell what is left of it."""

    def __init__(self, detail: str, *, retry_after_s: int, headers: dict[str, str]) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.headers = headers


class StoreUnavailable(GroveError):
    """A database cannot be reached or did not answer in time.

    `retry_after_s` says when to come back: at once, if nothing is known.
    """

    def __init__(self, detail: str = "The database is not available at the moment.", *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class GrafanaUnavailable(GroveError):
    """Grafana cannot be reached, did not answer in time, or cannot do its work now; trying again may help."""


class GrafanaUnreachable(GrafanaUnavailable):
    """Grafana does not answer, or not in a way that can be passed on."""


class GrafanaSlow(GrafanaUnavailable):
    """Grafana did not answer in time."""


class GrafanaRefused(GroveError):
    """Grafana does not take what Grove asked of it, and will not later."""


class OrganisationRefused(GrafanaRefused):
    """An organisation in Grafana is not the client's, and cannot become it."""


class GrafanaUnfit(GroveError):
    """This version of Grafana is not supported, or lacks security patches, and no setting allows it."""


class ReleaseDiffers(WrongState):
    """The shipped dashboards are not those that are kept under their `version`."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"The shipped dashboards are not those that are kept as version {version}: they need a version of their "
            "own in grafana-templates/manifest.json."
        )
        self.version = version


class QueryTimedOut(GroveError):
    """A question took longer than its limit and was cancelled."""


class BodyTooLarge(GroveError):
    """The body, as sent or inflated, is over its limit. `limit_bytes` is that limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body may hold {limit_bytes} bytes at most, also after decompression.")
        self.limit_bytes = limit_bytes


class BodyTooSlow(GroveError):
    """The body did not arrive within its time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The body must arrive within {limit_s:g} seconds.")


class UnsupportedBody(GroveError):
    """The body's media type or encoding is none that this path takes."""


class SourceUnfit(GroveError):
    """A client's chatbot tables are not, or no longer, in a form in which they can be read."""


class OperationFailed(GroveError):
    """Long work that somebody waited for failed for good, through no fault of theirs, and was undone."""
