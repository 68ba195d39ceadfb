"""What clients' pages take from the world outside: pictures of their logos, and proofs of their domains. Scheduled."""

from app.workers.resources import WorkerResources
from provisioning.domains import unscoped_recheck_domains
from provisioning.logos import refresh_logos


async def fetch_logos(resources: WorkerResources) -> int:
    """Fetch the logos that are new or were looked at long ago; return how many clients' pages change by it."""
    changed = await refresh_logos(resources.control, resources.witnesses.outside, resources.clock)
    if changed:
        await resources.feed.announce()
    return changed


async def recheck_domains(resources: WorkerResources) -> int:
    """Look whether the domains that are served are still proven; return how many are not."""
    gone = await unscoped_recheck_domains(resources.control, resources.vault, resources.witnesses, resources.clock)
    if gone:
        await resources.feed.announce()
    return gone
