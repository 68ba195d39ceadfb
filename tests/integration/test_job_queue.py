"""What the API hands to the workers is there at once, although the serving login may do next to nothing."""

from uuid import uuid4

import asyncpg

from app.bootstrap import bootstrap
from app.embedded.postgres import EmbeddedPostgres
from app.workers.queue import JobQueue
from tenants.control import SERVING_LOGIN
from tenants.registry import with_login
from tenants.vault import Vault
from tests.support.grove import SECRET_KEY, grove_settings, own_database


async def test_the_serving_login_can_ring_for_the_workers_in_a_hardened_database(postgres: EmbeddedPostgres) -> None:
    operation_id = uuid4()
    async with own_database(postgres.url) as url:
        await bootstrap(grove_settings(url))
        jobs = JobQueue(with_login(url, user=SERVING_LOGIN, password=Vault(SECRET_KEY).password_for("serve/main")))
        try:
            await jobs.defer_operation(operation_id)
        finally:
            await jobs.close()
        connection = await asyncpg.connect(url)
        try:
            locks = await connection.fetch("SELECT queueing_lock FROM grove_jobs.procrastinate_jobs")
        finally:
            await connection.close()

    assert [row["queueing_lock"] for row in locks] == [f"operation:{operation_id}"]
