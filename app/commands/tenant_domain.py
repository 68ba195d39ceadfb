"""`grove tenant verify-domain`: prove a client's domain before its dashboards are served on it.

Added to the group by `app.commands.tenant`.
"""

import sys

import click

from app.commands.administration import CLI, administer
from app.commands.printing import as_json, print_json
from app.workers.resources import WorkerResources
from provisioning.domains import DomainProof, verify_domain


@click.command("verify-domain")
@click.argument("client_id")
@as_json
def verify(client_id: str, *, as_json: bool) -> None:
    """Look for the TXT record or the file that shows a domain to be the client's; name them where they are missing."""

    async def work(resources: WorkerResources) -> DomainProof:
        proof = await verify_domain(
            resources.control, resources.vault, client_id, CLI, witnesses=resources.witnesses, clock=resources.clock
        )  # fmt: skip
        await resources.feed.announce()
        return proof

    proof = administer(work)
    if as_json:
        print_json(proof)
    elif proof.proven:
        click.echo(f"{proof.domain} is proven and served: point it at this server.")
    else:
        click.echo(f"Not yet. Set this record, then call again:\n{proof.record} TXT {proof.value}")
        click.echo(f"Or let this address answer with the same value:\n{proof.file}")
    sys.exit(0 if proof.proven else 1)


commands = [verify]
