"""The worker process: runs operations and regular jobs until it is told to stop.

Called by `grove worker`, which `grove serve` starts beside the web processes.
"""

import asyncio
import signal
from contextlib import suppress

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException

from app.settings import Settings
from app.workers.queue import JobQueue, job_app
from app.workers.resources import open_worker_resources
from app.workers.rollups import Rollups
from app.workers.schedule import register_jobs
from app.workers.watchdog import Watchdog
from tenants.databases import Observer

CONCURRENCY = 4
RESTART_PAUSE_S = 1.0
# New jobs are heard of at once by NOTIFY; this is for those that came while nobody listened.
POLL_S = 2.0
# A regular job that fell due while nothing ran is made up for at the next start, if that is not later than this.
MAX_DELAY_S = 2 * 24 * 3600

log = structlog.get_logger()


async def run_worker(settings: Settings, stop: asyncio.Event | None = None, *, observe: Observer | None = None) -> None:
    """Work until `stop` is set (by default by SIGTERM or SIGINT); what runs then has `drain_timeout_s` to finish.

    A database that is away is waited for.
    """
    stop = stop or _stop_on_signals()
    async with open_worker_resources(settings, observe=observe) as resources:
        jobs = JobQueue(settings.main_url)
        app = job_app(settings.main_url, connections=CONCURRENCY, periodic_defaults={"max_delay": MAX_DELAY_S})
        register_jobs(app, resources, jobs)
        log.info("worker_started", concurrency=CONCURRENCY)
        beside = [asyncio.create_task(Watchdog(resources).run()), asyncio.create_task(Rollups(resources).run())]
        try:
            while not stop.is_set():
                await _work(app, settings, stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await jobs.close()
    log.info("worker_stopped")


async def _work(app: App, settings: Settings, stop: asyncio.Event) -> None:
    """Run the library's worker until it is told to stop, or until the database went away."""
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(_run(app, settings))
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Cancelled, the library's worker takes no more jobs and waits for those that it has.
        stopping.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), RESTART_PAUSE_S)


async def _run(app: App, settings: Settings) -> None:
    try:
        async with app.open_async():
            await app.run_worker_async(
                concurrency=CONCURRENCY,
                fetch_job_polling_interval=POLL_S,
                delete_jobs="always",
                install_signal_handlers=False,
                shutdown_graceful_timeout=settings.drain_timeout_s,
            )
    except ConnectorException as error:
        log.warning("job_queue_unavailable", error=type(error).__name__)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
