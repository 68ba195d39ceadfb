"""Issue, list and revoke service tokens, and change the key that signs them.

Called by `app.api.tokens` once it is known whose tokens the caller may manage.
"""

from datetime import datetime
from uuid import UUID

from litestar import Response
from litestar.di import NamedDependency

from app.api.idempotency import Idempotency, answer_once
from app.api.pages import Page, decode_cursor, page_of
from provisioning.audit import Actor
from provisioning.tokens import (
    NewToken,
    SigningKeyView,
    TokenView,
    issue_token,
    list_tokens,
    revoke_token,
    rotate_signing_key,
)
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.revocations import RevocationFeed
from tenants.tokens import ServiceTokens


class TokenDesk:
    """Does what one caller asks about tokens."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        tokens: NamedDependency[ServiceTokens],
        feed: NamedDependency[RevocationFeed],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
    ) -> None:
        self._control = control
        self._tokens = tokens
        self._feed = feed
        self._clock = clock
        self._actor = actor

    async def issue(self, client_id: str, new: NewToken, idempotency: Idempotency) -> Response[TokenView]:
        """Issue a token and answer with it, this once.

        Errors: InputRefused, WrongState.
        """
        return await answer_once(
            self._control,
            self._feed,
            idempotency,
            TokenView,
            lambda session: issue_token(session, client_id, new, self._actor, tokens=self._tokens, now=self._clock()),
            secret="token",  # noqa: S106 - a field
        )

    async def list(self, client_id: str, limit: int, cursor: str | None) -> Page[TokenView]:
        """Show a page of tokens, oldest first."""
        after = decode_cursor(cursor, tuple[datetime, UUID])
        async with self._control.session() as session:
            tokens = await list_tokens(session, client_id, limit=limit + 1, after=after)
        return page_of(tokens, limit, show=lambda token: token, key=lambda token: (token.created_at, token.id))

    async def revoke(self, client_id: str, token_id: UUID) -> None:
        """End a token now.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            await revoke_token(session, client_id, token_id, self._actor, now=self._clock())
        await self._feed.announce()

    async def rotate(self, *, at_once: bool) -> SigningKeyView:
        """Sign with another key."""
        async with self._control.session() as session:
            made = await rotate_signing_key(session, self._actor, now=self._clock(), at_once=at_once)
        await self._feed.announce()
        return made
