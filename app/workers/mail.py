"""Send the links that were ordered: find out whose they are, make them, mail them.

Scheduled every few seconds. An order is deleted when its mail was taken by the mail server, when there is nobody to
send it to, or a day later (`app.workers.leftovers`); until then it is tried again, at growing distances.
"""

from datetime import timedelta
from email.message import EmailMessage

import msgspec
import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.client_urls import staff_url
from app.mail import MailRefused, send_mail, write_link_mail
from app.workers.resources import WorkerResources
from provisioning.staff_links import INVITATION, erase_link, make_link
from tenants.models import Client, OneTimeToken, OutgoingMail, Staff

AT_ONCE = 20
# Longer than a mail server may take, and than the pause between two resets.
TAKEN_FOR = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
# So that nobody's mailbox can be filled by a stranger, who can have resets sent to anybody.
BETWEEN_RESETS = timedelta(minutes=15)

log = structlog.get_logger()
Key = tuple[str, str, str]


class Letter(msgspec.Struct, frozen=True):
    """A mail whose link works already; `key` is the order's."""

    key: Key
    token: str
    mail: EmailMessage


async def send_links(resources: WorkerResources) -> int:
    """Send what is due; return how many mails were sent."""
    if resources.settings.smtp_url is None:
        return 0
    sent = 0
    for _ in range(AT_ONCE):
        # Taken before it is looked at: one that cannot be dealt with waits, and holds up no other.
        async with resources.control.session() as session:
            key = await _take_order(session, resources)
        if key is None:
            break
        async with resources.control.session() as session:
            letter = await _write(session, key, resources)
        if letter is not None:
            sent += await _deliver(letter, resources)
    return sent


async def _take_order(session: AsyncSession, resources: WorkerResources) -> Key | None:
    """Take an order that is due, which nobody else then takes while the mail server may be thinking.

    Those of a client that is just being made are due as soon as it is there.
    """
    now = resources.clock()
    unmade = exists().where(Client.id == OutgoingMail.client_id, Client.status == "provisioning")
    query = select(OutgoingMail).where(OutgoingMail.not_before <= now, ~unmade)
    query = query.order_by(OutgoingMail.not_before).limit(1)
    order = (await session.execute(query.with_for_update(skip_locked=True))).scalar_one_or_none()
    if order is None:
        return None
    order.not_before = now + TAKEN_FOR
    return order.client_id, order.email, order.purpose


async def _write(session: AsyncSession, key: Key, resources: WorkerResources) -> Letter | None:
    """Make the link and the mail that brings it; a mail that nobody is to get ends here."""
    order = await session.get(OutgoingMail, key, with_for_update=True)
    if order is None:
        return None
    query = select(Staff, Client).join(Client, Client.id == Staff.client_id)
    query = query.where(Staff.client_id == order.client_id, Staff.email == order.email).with_for_update(of=Staff)
    found = (await session.execute(query)).one_or_none()
    if found is not None and found[1].status == "provisioning":
        _postpone(order, resources)
        return None
    if found is None or not await _is_wanted(session, order, found[0], found[1], resources):
        await session.delete(order)
        return None
    staff, client, settings = found[0], found[1], resources.settings
    # What a stranger can order must not end a link that somebody has in the mailbox.
    replace = order.purpose == INVITATION
    token = await make_link(session, staff.id, order.purpose, now=resources.clock(), replace=replace)
    try:
        mail = write_link_mail(
            settings, resources.clock, purpose=order.purpose, client=client.name, email=staff.email, name=staff.name,
            url=staff_url(settings, client, order.purpose, token),
        )  # fmt: skip
    except MailRefused as error:
        log.warning("mail_not_sent", client=client.id, purpose=order.purpose, reason=str(error))
        await erase_link(session, token)
        await session.delete(order)
        return None
    return Letter(key, token, mail)


async def _is_wanted(
    session: AsyncSession, order: OutgoingMail, staff: Staff, client: Client, resources: WorkerResources
) -> bool:
    if client.status != "active" or staff.status == "disabled":
        return False
    if order.purpose == INVITATION:
        return staff.status == "invited"
    recent = select(OneTimeToken.hash).where(
        OneTimeToken.staff_id == staff.id, OneTimeToken.used_at.is_(None),
        OneTimeToken.created_at > resources.clock() - BETWEEN_RESETS,
    )  # fmt: skip
    return staff.status == "active" and (await session.execute(recent.limit(1))).first() is None


async def _deliver(letter: Letter, resources: WorkerResources) -> int:
    """Send a mail; one that is not taken leaves no link behind."""
    client_id, _, purpose = letter.key
    refused: MailRefused | None = None
    try:
        await send_mail(resources.settings, letter.mail)
        log.info("mail_sent", client=client_id, purpose=purpose)
    except MailRefused as error:
        refused = error
        log.warning("mail_not_sent", client=client_id, purpose=purpose, reason=str(error))
    async with resources.control.session() as session:
        order = await session.get(OutgoingMail, letter.key, with_for_update=True)
        if refused is not None:
            await erase_link(session, letter.token)
        if order is not None and (refused is None or refused.final):
            await session.delete(order)
        elif order is not None:
            _postpone(order, resources)
    return int(refused is None)


def _postpone(order: OutgoingMail, resources: WorkerResources) -> None:
    pause = min(FIRST_PAUSE * (1 << min(order.attempts, 10)), LONGEST_PAUSE)
    order.attempts += 1
    order.not_before = resources.clock() + pause
