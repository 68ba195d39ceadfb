"""The control plane's tables: who the clients are, what they may do, and what was done to them.

One schema, `grove`, changed by `migrations/control` alone. Read through `tenants.control` sessions.
"""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, MetaData, Sequence, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSON, JSONB, TIMESTAMP, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "grove"
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declares the tables of schema `grove`; every time is `timestamptz`."""

    metadata = MetaData(schema=SCHEMA, naming_convention=_NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[uuid.UUID]: ARRAY(UUID(as_uuid=True)),
        bytes: BYTEA,
        str: Text,
        uuid.UUID: UUID(as_uuid=True),
        int: BigInteger,
    }


_NOW = text("now()")

# Who makes ids of flushes takes a number; it has to fit into 23 bits.
FLUSH_MAKERS = Sequence("flush_makers", minvalue=0, maxvalue=2**23 - 1, cycle=True, metadata=Base.metadata)


class Server(Base):
    """A Postgres server that holds clients. `main` is `DATABASE_URL` itself and stores no URL.

    `serve_login` is the login through which clients on it are served; null where Grove may not make roles there,
    so that the given login has to serve as well.
    """

    __tablename__ = "servers"

    name: Mapped[str] = mapped_column(primary_key=True)
    admin_url_sealed: Mapped[bytes | None]
    serve_login: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Client(Base):
    """A client of the agency. `status`: provisioning, active, suspended, deleting.

    `grafana_org_given` tells that the
    organisation was there before, and outlives the client. `domain_proven` is the domain that was shown to be the
    client's, last at `domain_seen_at`; it is served while it is still its `domain`. `template_version` is set while the
    client has another version of the dashboards than the one that is offered to all. Before `prune_after` nothing is
    removed for being older than `retention_days`.
    """

    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    status: Mapped[str]
    timezone: Mapped[str]
    domain: Mapped[str | None] = mapped_column(unique=True)
    domain_proven: Mapped[str | None]
    domain_seen_at: Mapped[datetime | None]
    branding: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    dashboards: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    grafana_org_id: Mapped[int | None]
    grafana_org_given: Mapped[bool] = mapped_column(server_default=text("false"))
    template_version: Mapped[int | None]
    retention_days: Mapped[int]
    prune_after: Mapped[datetime | None]
    rate_limit: Mapped[int | None]
    rate_burst: Mapped[int | None]
    monthly_quota: Mapped[int | None]
    share: Mapped[int] = mapped_column(server_default=text("1"))
    visitors: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    suspended_at: Mapped[datetime | None]
    delete_after: Mapped[datetime | None]


class Logo(Base):
    """What became of a client's `logoUrl`: pictures that Grove drew from it, or why there are none.

    It is shown while `url` is still the client's. `digest` changes with the pictures, and is null where there are none.
    """

    __tablename__ = "logos"

    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str]
    digest: Mapped[str | None]
    logo: Mapped[bytes | None] = mapped_column(deferred=True)
    icon: Mapped[bytes | None] = mapped_column(deferred=True)
    fault: Mapped[str | None]
    looked_at: Mapped[datetime]


class PlacementRow(Base):
    """Where a client's data lives. One row per client, removed with it.

    Serving reads every column but the deferred ones, which its login may not see. `server_made` tells that the server's
    row was made for this client alone, from a URL that was given.
    """

    __tablename__ = "placements"

    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str]
    server: Mapped[str] = mapped_column(ForeignKey("grove.servers.name"))
    database: Mapped[str]
    database_made: Mapped[bool] = mapped_column(server_default=text("false"))
    server_made: Mapped[bool] = mapped_column(server_default=text("false"))
    schema: Mapped[str] = mapped_column("schema_name")
    owner_role: Mapped[str]
    writer_role: Mapped[str]
    reader_role: Mapped[str]
    login_role: Mapped[str]
    login_password_sealed: Mapped[bytes | None] = mapped_column(deferred=True)
    source_url_sealed: Mapped[bytes | None]
    source_admin_url_sealed: Mapped[bytes | None] = mapped_column(deferred=True)
    source_role: Mapped[str | None]
    source_map: Mapped[dict[str, Any] | None]
    partition_interval: Mapped[str] = mapped_column(server_default=text("'year'"))
    revision: Mapped[str | None]
    unhardened: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))

    __table_args__ = (UniqueConstraint("server", "database", "schema_name"),)


class ApiKey(Base):
    """A key, of which only the SHA-256 is kept. `client_id` is null for platform keys."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str | None] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    hash: Mapped[bytes] = mapped_column(unique=True)
    hint: Mapped[str]
    origins: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    replaced_by: Mapped[uuid.UUID | None]
    rate_limit: Mapped[int | None]
    rate_burst: Mapped[int | None]
    monthly_quota: Mapped[int | None]


class SigningKey(Base):
    """A key that service tokens are signed with; it is derived from its id, and kept nowhere.

    `ends_at` is when its tokens are out, set once another one has taken its place.
    """

    __tablename__ = "signing_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]


class ServiceToken(Base):
    """A short-lived token that stands for a key of a client, with all of its scopes or some; never the token itself."""

    __tablename__ = "service_tokens"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), index=True)
    key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("grove.api_keys.id", ondelete="CASCADE"), index=True)
    signing_key: Mapped[uuid.UUID] = mapped_column(ForeignKey("grove.signing_keys.id", ondelete="CASCADE"))
    name: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class Revocation(Base):
    """What every process must forget at once; polled by sequence number. `kind`: key, client, staff."""

    __tablename__ = "revocations"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str]
    subject: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Operation(Base):
    """Long work and how far it is. `state`: pending, running, succeeded, failed. Survives its client.

    `sealed` holds what the work needs and nobody may read (given database URLs, minted keys until shown).
    """

    __tablename__ = "operations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str | None]
    kind: Mapped[str]
    state: Mapped[str]
    actor: Mapped[str]
    input: Mapped[dict[str, Any]]
    sealed: Mapped[bytes | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    not_before: Mapped[datetime | None]
    runner: Mapped[str | None]
    lease_until: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_operations_client_id", "client_id"),
        Index("ix_operations_open", "created_at", postgresql_where=text("state IN ('pending', 'running')")),
    )


class OperationStep(Base):
    """One step of an operation. `state`: pending, running, done, skipped, failed, undone."""

    __tablename__ = "operation_steps"

    operation_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("grove.operations.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    detail: Mapped[str | None]
    last_error: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class IdempotencyRecord(Base):
    """What a creating request under an `Idempotency-Key` was answered; secrets are left out."""

    __tablename__ = "idempotency"

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes]
    operation_id: Mapped[uuid.UUID | None]
    status: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class AuditEntry(Base):
    """Who did what, when. Survives its client."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
    client_id: Mapped[str | None] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    request_id: Mapped[str | None]


class Staff(Base):
    """Somebody who works at a client. `role`: viewer, editor. `status`: invited, active, disabled.

    A person at two clients is two rows, and two users of Grafana. `email` is in lower case.
    """

    __tablename__ = "staff"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"))
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    status: Mapped[str]
    password_hash: Mapped[str | None]
    grafana_user_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    __table_args__ = (UniqueConstraint("client_id", "email"),)


class StaffSession(Base):
    """A session of somebody's browser, by the SHA-256 of its opaque token."""

    __tablename__ = "staff_sessions"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("grove.staff.id", ondelete="CASCADE"), index=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    address: Mapped[str]
    user_agent: Mapped[str]


class OneTimeToken(Base):
    """A link that was sent, by the SHA-256 of its token. `purpose`: invitation, reset."""

    __tablename__ = "one_time_tokens"

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("grove.staff.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class LoginFailure(Base):
    """How often logging in was tried in vain, by the HMAC of what is counted: an account, an address, a device.

    Made by every attempt before the password is looked at; taken back when that was right.
    """

    __tablename__ = "login_failures"

    bucket: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    blocked_until: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class OutgoingMail(Base):
    """A link that somebody is to be sent: the truth of which a worker's round makes a message, and then deletes it.

    `purpose` is that of the link. Whether there is such a client and person is found out when it is sent, so that
    asking for it is the same work for everybody; the link itself is made then, too, and is never stored.
    """

    __tablename__ = "outgoing_mail"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    not_before: Mapped[datetime]


class TemplateRelease(Base):
    """A version of the dashboards' templates, kept so that it can be gone back to.

    What all clients get is the one that was `offered_at` last; the others are tried by single clients, or are past.
    """

    __tablename__ = "template_releases"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    templates: Mapped[dict[str, Any]]
    content_hash: Mapped[str]
    stored_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    offered_at: Mapped[datetime | None]


class DashboardInstalled(Base):
    """A dashboard that Grove put into a client's Grafana; all others there are the staff's own.

    `version` is the templates', `saved_as` the number that Grafana gave to what Grove saved.
    """

    __tablename__ = "dashboards_installed"

    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), primary_key=True)
    uid: Mapped[str] = mapped_column(primary_key=True)
    template: Mapped[str]
    version: Mapped[int]
    content_hash: Mapped[str]
    saved_as: Mapped[int]
    installed_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class EventSchemaRow(Base):
    """An event schema of a client, whose definitions are its versions.

    `published` is the version that views and dashboards were last made of, null before there are any. `key` is the
    name as it stands in the names of views; no two schemas of a client share it.
    """

    __tablename__ = "event_schemas"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"))
    name: Mapped[str]
    key: Mapped[str]
    description: Mapped[str]
    version: Mapped[int]
    published: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("client_id", "key"),)


class EventSchemaVersion(Base):
    """A definition that an event schema has, or had; never changed, and in the order in which it was given."""

    __tablename__ = "event_schema_versions"

    schema_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("grove.event_schemas.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    breaking: Mapped[bool]
    created_at: Mapped[datetime]


class AdaptorRow(Base):
    """A site from which a client collects by a tag, whose address is made of `container_id`.

    `key_id` is the browser key of its own, which the tag brings along and which is therefore kept sealed, too;
    `past_key_ids` are those that were replaced. `origins` are those of its pages.
    """

    __tablename__ = "adaptors"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    schema_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("grove.event_schemas.id", ondelete="CASCADE"), index=True
    )
    website_url: Mapped[str]
    origins: Mapped[list[str]]
    privacy: Mapped[str]
    tracking_rules: Mapped[dict[str, Any]] = mapped_column(JSON)
    script: Mapped[str | None]
    container_id: Mapped[str] = mapped_column(unique=True)
    key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("grove.api_keys.id", ondelete="CASCADE"))
    key_sealed: Mapped[bytes]
    past_key_ids: Mapped[list[uuid.UUID]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookSource(Base):
    """A service that tells of a client's events by webhooks, at an address made of `id`.

    `kind`: stripe, shopify, chatwoot, generic; only the last has a `signature` and a `mapping`. The secret is kept
    sealed; null while nobody has told it. The one before still counts until `past_until`.
    """

    __tablename__ = "webhook_sources"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    accept_test: Mapped[bool]
    signature: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    secret_sealed: Mapped[bytes | None]
    past_secret_sealed: Mapped[bytes | None]
    past_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RollupMark(Base):
    """A client whose rollups lag behind its events: since when, and by about how many events.

    A doorbell, no truth: what is pending stands in the client's own `rollup_pending`. Without a key to `clients`, so
    that a mark never waits for, nor fails with, whoever changes a client.
    """

    __tablename__ = "rollup_marks"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    events: Mapped[int]
    since: Mapped[datetime]


class OutcomeHour(Base):
    """How many events of a client had an outcome in an hour, told to the platform by a regular job.

    A copy: the truth is in each client's own `outcome_counts`, which the platform's dashboards may not read.
    """

    __tablename__ = "outcome_hours"

    client_id: Mapped[str] = mapped_column(ForeignKey("grove.clients.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int]
