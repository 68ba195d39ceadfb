"""`make bench WHAT=overload`: what a server still stores when five times as much comes as it has room for.

Starts a server as `grove serve` does in a throwaway folder. Senders that keep it busy, and five times as many, send by
turns, beside a hundred requests that are never finished. Printed are events per second that were acknowledged, medians
of the turns, and their ratio (aim: 0.9). What was acknowledged is compared with what is stored.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median

import click

from app.settings import Settings
from app.supervisor import Supervisor
from tests.support.overload import QUEUE_EVENTS, Overload, overload, warm_up
from tests.support.servers import Server

AIM = 0.9


@click.command()
@click.option("--rounds", default=12, show_default=True, help="Alternations of busy and overloaded.")
@click.option("--seconds", default=2.0, show_default=True, help="How long each side of one lasts.")
def main(rounds: int, seconds: float) -> None:
    """Measure what an overloaded server stores."""
    folder = Path(tempfile.mkdtemp(prefix="grove-bench-"))
    settings = Settings(data_dir=folder / "data", port=0, log_level="error", ingest_queue_events=QUEUE_EVENTS)
    try:
        with Supervisor(settings, quiet=True) as supervisor:
            found = asyncio.run(measure(Server(supervisor), rounds, seconds))
    finally:
        shutil.rmtree(folder)
    answers = Counter(outcome.status for outcome in found.outcomes)
    print(f"busy {median(found.busy):,.0f}, overloaded {median(found.overloaded):,.0f} events per second")
    print(f"goodput {found.goodput:.2f} (aim: {AIM}); answers {dict(sorted(answers.items()))}")


async def measure(server: Server, rounds: int, seconds: float) -> Overload:
    """Load a client's collection; fail if what was acknowledged is not what is stored."""
    client = await server.make_client()
    found = await overload(await warm_up(client), client, rounds, seconds)
    findings = await client.judge(found.history)
    if findings:
        raise SystemExit("\n".join(str(finding) for finding in findings))
    return found


if __name__ == "__main__":
    main()
