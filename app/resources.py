"""Everything that a serving process holds open, built once and closed in the opposite order.

Opened by `app.asgi` in the lifespan; handlers get its parts as dependencies by name.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.api.tag_files import Tags
from app.auth.limiter import Limiter
from app.auth.passwords import Passwords
from app.auth.sessions import SessionStore
from app.gateway.gateway import Gateway
from app.gateway.hosts import Hosts
from app.gateway.upstream import ANSWER_TIMEOUT_S, Upstream
from app.ingest.arrivals import Arrivals
from app.ingest.doorbell import Doorbell
from app.ingest.enrichment.countries import open_countries
from app.ingest.flush_ids import claim_flush_ids
from app.ingest.group_commit import GroupCommit
from app.ingest.hooks.receiver import Receiver
from app.ingest.hooks.sources import Sources
from app.ingest.other_origins import OriginLog
from app.ingest.routes import Collection
from app.ingest.sink import PostgresSink
from app.observability import Metrics
from app.query.run import Analyst
from app.query.web import WebAnalyst
from app.settings import Settings
from app.workers.queue import JobQueue
from provisioning.domains import Witnesses
from tenants.clock import Clock, utc_now
from tenants.control import SERVING_LOGIN, ControlPlane
from tenants.databases import Databases, Observer, own_urls
from tenants.errors import NotFound, StoreUnavailable
from tenants.ids import TenantId
from tenants.keyring import Keyring
from tenants.placement import Placement
from tenants.registry import MAIN_SERVER, Registry, with_login
from tenants.revocations import RevocationFeed
from tenants.tokens import ServiceTokens
from tenants.vault import Vault

REDIS_TIMEOUT_S = 0.1
SAVE_LAST_USED_S = 5.0
SAVE_ORIGINS_S = 5.0

log = structlog.get_logger()


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a serving process, by the names under which handlers ask for them."""

    settings: Settings
    clock: Clock
    vault: Vault
    control: ControlPlane
    redis: Redis | None
    feed: RevocationFeed
    tokens: ServiceTokens
    keyring: Keyring
    sessions: SessionStore
    passwords: Passwords
    registry: Registry
    databases: Databases
    analyst: Analyst
    web: WebAnalyst
    jobs: JobQueue
    commit: GroupCommit
    metrics_store: Metrics
    limiter: Limiter
    other_origins: OriginLog
    collection: Collection
    receiver: Receiver
    tags: Tags
    hosts: Hosts
    gateway: Gateway | None
    witnesses: Witnesses
    reserved: frozenset[str]


@asynccontextmanager
async def open_resources(
    settings: Settings,
    metrics: Metrics,
    reserved: frozenset[str],
    *,
    clock: Clock = utc_now,
    observe: Observer | None = None,
    witnesses: Witnesses | None = None,
    grafana_timeout_s: float = ANSWER_TIMEOUT_S,
) -> AsyncIterator[Resources]:
    """Connect everything; on leaving, finish what was accepted, then close.

    Shape: the options are for tests; `grafana_timeout_s` is how long Grafana may think about an answer.
    Errors: StoreUnavailable if the control plane cannot be reached.
    """
    async with AsyncExitStack() as stack:
        vault = Vault(settings.key_material)
        serving_url = await _serving_url(settings, vault)
        control = ControlPlane(settings.through_pooler(serving_url))
        stack.push_async_callback(control.close)
        redis = _redis(settings.redis_url)
        if redis is not None:
            stack.push_async_callback(redis.aclose)
        feed = RevocationFeed(control, redis)
        tokens = ServiceTokens(vault, issuer=settings.base_url)
        keyring = Keyring(control, feed, clock, tokens)
        sessions = SessionStore(control, feed, clock)
        passwords = Passwords()
        stack.callback(passwords.close)
        main_url = settings.through_pooler(settings.main_url)
        registry = Registry(control, vault=vault, main_url=main_url, feed=feed)
        databases = Databases(settings, observe=observe)
        stack.push_async_callback(databases.close)
        jobs = JobQueue(serving_url)
        stack.push_async_callback(jobs.close)
        doorbell = Doorbell(control, clock)
        sink, ids = PostgresSink(databases, doorbell), await claim_flush_ids(control)
        commit = GroupCommit(
            sink, ids, max_queued_events=settings.ingest_queue_events, max_flush_events=settings.batch_size
        )
        hosts = Hosts(settings, control, feed)
        feed.listen(_forgetter(keyring, sessions, registry, databases, commit))
        tags = Tags(control, registry, vault, feed, base_url=settings.base_url)
        feed.listen(lambda _kind, _subject: tags.forget_all())
        gateway = None
        if settings.grafana_url is not None:
            upstream = Upstream(settings.grafana_url, answer_timeout_s=grafana_timeout_s)
            stack.push_async_callback(upstream.close)
            gateway = Gateway(settings, upstream, sessions, registry, feed, clock)
        other_origins = OriginLog(redis, clock)
        await feed.start()
        await stack.enter_async_context(_running("revocation feed", feed.run()))
        await stack.enter_async_context(
            _running("last use of keys", _keep_saving(SAVE_LAST_USED_S, lambda: _save_last_used(keyring, sessions)))
        )
        await stack.enter_async_context(_running("refused origins", _keep_saving(SAVE_ORIGINS_S, other_origins.save)))
        await stack.enter_async_context(_running("doorbell of the rollups", doorbell.run()))
        stack.push_async_callback(_drain, commit, keyring, sessions)
        countries = open_countries(settings)
        if countries is not None:
            stack.callback(countries.close)
        arrivals = Arrivals(clock, countries, settings.trusted_proxies, other_origins)
        sources = Sources(control, vault, feed)
        feed.listen(lambda _kind, _subject: sources.forget_all())
        limiter = Limiter(redis, databases, clock, metrics, web_processes=settings.web_processes)
        collection = Collection(keyring, registry, commit, databases, limiter, arrivals, metrics)
        yield Resources(
            settings=settings,
            clock=clock,
            vault=vault,
            control=control,
            redis=redis,
            feed=feed,
            tokens=tokens,
            keyring=keyring,
            sessions=sessions,
            passwords=passwords,
            registry=registry,
            databases=databases,
            analyst=Analyst(databases),
            web=WebAnalyst(databases),
            jobs=jobs,
            commit=commit,
            metrics_store=metrics,
            limiter=limiter,
            other_origins=other_origins,
            collection=collection,
            receiver=Receiver(
                sources,
                registry,
                arrivals,
                collection,
                clock,
                metrics,
                memory=timedelta(days=settings.duplicate_window_days),
            ),
            tags=tags,
            hosts=hosts,
            gateway=gateway,
            witnesses=witnesses or Witnesses(own_host=urlsplit(settings.base_url).hostname),
            reserved=reserved,
        )


async def _serving_url(settings: Settings, vault: Vault) -> str:
    """Prefer the login that can read no client; the given one serves only where no other could be made."""
    password = vault.password_for(f"serve/{MAIN_SERVER}")
    url = with_login(settings.main_url, user=SERVING_LOGIN, password=password)
    control = ControlPlane(url, size=1)
    try:
        async with control.session() as session:
            await session.execute(text("SELECT FROM grove.servers"))
    except StoreUnavailable as error:
        if await _may_serve_itself(settings.main_url):
            log.warning("serving_login_absent", detail="DATABASE_URL may not create roles; see isolation-check")
            return settings.main_url
        raise StoreUnavailable("The serving login cannot reach the database.") from error
    finally:
        await control.close()
    return url


async def _may_serve_itself(main_url: str) -> bool:
    control = ControlPlane(main_url, size=1)
    try:
        async with control.session() as session:
            login = await session.execute(
                text("SELECT serve_login IS NULL FROM grove.servers WHERE name = :name"), {"name": MAIN_SERVER}
            )
            return bool(login.scalar_one_or_none())
    except DBAPIError:
        return False
    finally:
        await control.close()


def _redis(url: str | None) -> Redis | None:
    if url is None:
        return None
    return Redis.from_url(
        url,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )


def _forgetter(
    keyring: Keyring, sessions: SessionStore, registry: Registry, databases: Databases, commit: GroupCommit
) -> Callable[[str, str], None]:
    closing: set[asyncio.Task[None]] = set()

    def forget(kind: str, subject: str) -> None:
        if kind != "staff":
            keyring.forget_all()
        if kind != "key":
            sessions.forget_all()
        if kind != "client":
            return
        tenant_id = TenantId(subject)
        commit.forget(tenant_id)
        known = registry.forget(tenant_id)
        if known is not None and own_urls(known.placement):
            task = asyncio.create_task(_close_left(known.placement, registry, databases))
            closing.add(task)
            task.add_done_callback(closing.discard)

    return forget


async def _close_left(was: Placement, registry: Registry, databases: Databases) -> None:
    """Close the pools of a place that its client has left; most changes of a client leave it where it is."""
    try:
        now = (await registry.get_client(was.tenant_id)).placement
    except NotFound:
        now = None
    except StoreUnavailable:
        # Then its pools stay, and their connections end by themselves when idle.
        return
    await databases.forget(was, now=now)


@asynccontextmanager
async def _running(name: str, coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_report_end)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report_end(task: asyncio.Task[None]) -> None:
    """Say so if a task ended that was to run as long as the process."""
    if not task.cancelled():
        log.error("background_task_ended", task=task.get_name(), error=type(task.exception()).__name__)


async def _keep_saving(every_s: float, save: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(every_s)
        await save()


async def _save_last_used(keyring: Keyring, sessions: SessionStore) -> None:
    try:
        await keyring.save_last_used()
        await sessions.save_seen()
    except Exception as error:  # noqa: BLE001 - they are kept for the next time, and nothing depends on them
        log.warning("last_used_not_saved", error=type(error).__name__)


async def _drain(commit: GroupCommit, keyring: Keyring, sessions: SessionStore) -> None:
    await commit.drain()
    await _save_last_used(keyring, sessions)
