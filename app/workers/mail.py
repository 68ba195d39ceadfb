"""Send the links that were ordered: find out whose they are, make them, mail them.

Scheduled every few seconds. An order is deleted when its mail was taken by the mail server, when there is nobody to
send it to, or a day later (`app.workers.leftovers`); until then it is tried again, at growing distances.
"""

from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.mail import MailRefused, send_mail, write_link_mail
from app.workers.resources import WorkerResources
from provisioning.staff_links import INVITATION, make_link
from tenants.models import Client, OneTimeToken, OutgoingMail, Staff

AT_ONCE = 20
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
# So that nobody's mailbox can be filled by a stranger.
BETWEEN_RESETS = timedelta(minutes=2)

log = structlog.get_logger()


async def send_links(resources: WorkerResources) -> int:
    """Send what is due; return how many mails were sent."""
    if resources.settings.smtp_url is None:
        return 0
    sent = 0
    for _ in range(AT_ONCE):
        async with resources.control.session() as session:
            order = await _next_order(session, resources)
            if order is None:
                break
            sent += await _carry_out(session, order, resources)
    return sent


async def _next_order(session: AsyncSession, resources: WorkerResources) -> OutgoingMail | None:
    query = select(OutgoingMail).where(OutgoingMail.not_before <= resources.clock())
    query = query.order_by(OutgoingMail.not_before).limit(1).with_for_update(skip_locked=True)
    return (await session.execute(query)).scalar_one_or_none()


async def _carry_out(session: AsyncSession, order: OutgoingMail, resources: WorkerResources) -> int:
    """Send a mail within the transaction that makes its link: if it is not taken, there is no link either."""
    query = select(Staff, Client).join(Client, Client.id == Staff.client_id)
    query = query.where(Staff.client_id == order.client_id, Staff.email == order.email).with_for_update(of=Staff)
    found = (await session.execute(query)).one_or_none()
    if found is not None and found[1].status == "provisioning":
        _postpone(order, resources)
        return 0
    if found is None or not await _is_wanted(session, order, *found, resources):
        await session.delete(order)
        return 0
    staff, client = found
    return await _send(session, order, staff, client, resources)


async def _is_wanted(
    session: AsyncSession, order: OutgoingMail, staff: Staff, client: Client, resources: WorkerResources
) -> bool:
    if client.status != "active" or staff.status == "disabled":
        return False
    if order.purpose == INVITATION:
        return staff.status == "invited"
    recent = select(OneTimeToken.hash).where(
        OneTimeToken.staff_id == staff.id, OneTimeToken.created_at > resources.clock() - BETWEEN_RESETS
    )
    return staff.status == "active" and (await session.execute(recent.limit(1))).first() is None


async def _send(
    session: AsyncSession, order: OutgoingMail, staff: Staff, client: Client, resources: WorkerResources
) -> int:
    settings, savepoint = resources.settings, await session.begin_nested()
    token = await make_link(session, staff.id, order.purpose, now=resources.clock())
    url = f"{settings.base_url}/{client.id}/{order.purpose}/{token}"
    mail = write_link_mail(
        settings, resources.clock, purpose=order.purpose, client=client.name, email=staff.email, name=staff.name,
        url=url,
    )  # fmt: skip
    try:
        await send_mail(settings, mail)
    except MailRefused as refused:
        await savepoint.rollback()
        log.warning("mail_not_sent", client=client.id, purpose=order.purpose, reason=str(refused))
        if refused.final:
            await session.delete(order)
        else:
            _postpone(order, resources)
        return 0
    await session.delete(order)
    log.info("mail_sent", client=client.id, purpose=order.purpose)
    return 1


def _postpone(order: OutgoingMail, resources: WorkerResources) -> None:
    pause = min(FIRST_PAUSE * (1 << min(order.attempts, 10)), LONGEST_PAUSE)
    order.attempts += 1
    order.not_before = resources.clock() + pause
