"""`grove token`: list and revoke a client's service tokens, and change the key that signs all of them."""

from uuid import UUID

import click

from app.commands.administration import CLI, administer
from app.commands.printing import as_json, print_json, print_table
from app.workers.resources import WorkerResources
from provisioning.tokens import SigningKeyView, TokenView, list_tokens, revoke_token, rotate_signing_key

ALL = 10_000


@click.group("token")
def command() -> None:
    """Manage service tokens."""


@command.command("list")
@click.argument("client_id")
@as_json
def list_(client_id: str, *, as_json: bool) -> None:
    """List a client's tokens, revoked ones too."""

    async def work(resources: WorkerResources) -> list[TokenView]:
        async with resources.control.session() as session:
            return await list_tokens(session, client_id, limit=ALL)

    tokens = administer(work)
    if as_json:
        print_json(tokens)
        return
    print_table(("id", "name", "scopes", "key", "issued", "ends"), [_row_of(token) for token in tokens])


@command.command("revoke")
@click.argument("client_id")
@click.argument("token_id", type=click.UUID)
def revoke(client_id: str, token_id: UUID) -> None:
    """End a token now, in every process."""

    async def work(resources: WorkerResources) -> None:
        async with resources.control.session() as session:
            await revoke_token(session, client_id, token_id, CLI, now=resources.clock())
        await resources.feed.announce()

    administer(work)
    click.echo(f"Token {token_id} is revoked.")


@command.command("rotate")
@click.option("--at-once", is_flag=True, help="End all tokens that are out; without it they work until they expire.")
def rotate(*, at_once: bool) -> None:
    """Sign tokens with another key from now on."""

    async def work(resources: WorkerResources) -> SigningKeyView:
        async with resources.control.session() as session:
            made = await rotate_signing_key(session, CLI, now=resources.clock(), at_once=at_once)
        await resources.feed.announce()
        return made

    click.echo(f"Tokens are signed with key {administer(work).id} from now on.")


def _row_of(token: TokenView) -> tuple[str, ...]:
    ends_at = token.revoked_at or token.expires_at
    times = (f"{time:%Y-%m-%d %H:%M}" for time in (token.created_at, ends_at))
    return str(token.id), token.name, " ".join(token.scopes), str(token.key_id), *times
