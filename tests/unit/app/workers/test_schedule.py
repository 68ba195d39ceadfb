"""When the regular jobs run."""

from procrastinate import App
from procrastinate.testing import InMemoryConnector

from app.settings import Settings
from app.workers.queue import RUN_OPERATION, JobQueue
from app.workers.resources import open_worker_resources
from app.workers.schedule import register_jobs

NOBODY = "postgresql://a:b@127.0.0.1:1/x"


async def test_every_regular_job_waits_once_and_lost_operations_are_looked_for_every_few_seconds() -> None:
    app = App(connector=InMemoryConnector())
    async with open_worker_resources(Settings(database_url=NOBODY, secret_key="x" * 32)) as resources:
        register_jobs(app, resources, JobQueue(NOBODY))
    periodic = {each.task.name: each for each in app.periodic_registry.periodic_tasks.values()}
    assert all(task.queueing_lock for name, task in app.tasks.items() if name.startswith("regular."))
    assert {name for name in app.tasks if name.startswith("regular.")} == set(periodic)
    assert periodic["regular.sweep_operations"].cron == "* * * * * */5"
    assert RUN_OPERATION in app.tasks
