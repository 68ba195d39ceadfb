"""Invitations and forgotten passwords, from the mail to the first login, and without a mail server."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from app.auth.throttle import LINKS
from app.embedded.postgres import EmbeddedPostgres
from tests.support.browser import ORIGIN, PASSWORD, Browser, add_person
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.mailbox import LATER, NEVER, TAKEN, Mailbox, link_in, open_mailbox
from tests.support.waiting import until

SENT_S = 12


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    """A mail server."""
    with open_mailbox() as running:
        yield running


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, mailbox: Mailbox) -> AsyncIterator[Grove]:
    """An application that can send mail, with a worker."""
    mail = {"smtp_url": mailbox.url, "mail_from": "Agency <analytics@agency.example>"}
    async with open_grove(postgres.url, public_url=ORIGIN, **mail) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client whose first person is named at its onboarding."""
    staff = [{"email": "first@maple.example", "name": "Fi Rst", "role": "editor"}]
    return await grove.make_client("maple", name="Maple Dental", staff=staff)


@pytest.fixture(scope="module")
async def birch(grove: Grove) -> MadeClient:
    """Another client."""
    return await grove.make_client("birch", name="Birch Bikes")


async def mail_to(mailbox: Mailbox, email: str, *, count: int = 1) -> str:
    """Wait for a mail and return the link in it."""

    async def came() -> bool:
        return len(mailbox.to(email)) >= count

    await until(came, within_s=SENT_S)
    return link_in(mailbox.to(email)[-1])


async def statuses(grove: Grove, client: MadeClient) -> dict[str, str]:
    people = (await grove.http.get(f"{client.path}/staff", headers=client.admin)).json()["data"]
    return {person["email"]: person["status"] for person in people}


async def test_who_is_named_at_the_onboarding_is_mailed_sets_a_password_and_logs_in(
    grove: Grove, maple: MadeClient, mailbox: Mailbox
) -> None:
    link = await mail_to(mailbox, "first@maple.example")
    (mail,) = mailbox.to("first@maple.example")
    assert str(mail["Subject"]) == "Your access to Maple Dental"
    assert str(mail["From"]) == "Agency <analytics@agency.example>"
    assert "Hello Fi Rst" in mail.get_content()
    assert link.startswith("/maple/invitation/")
    browser = Browser(grove)
    page = await browser.get(link)
    assert page.status_code == 200
    assert "first@maple.example" in page.text
    assert (await browser.get(link)).status_code == 200  # opening it uses nothing up

    done = await browser.send(link, password=PASSWORD, again=PASSWORD)

    assert (done.status_code, done.headers["location"]) == (303, "/maple/login?done=password")
    assert (await browser.log_in(maple.id, "first@maple.example")).headers["location"] == "/maple/"
    assert (await statuses(grove, maple))["first@maple.example"] == "active"
    for answer in (await browser.get(link), await browser.http.post(link, data={"password": PASSWORD})):
        assert answer.status_code == 404
        assert "This link does not work" in answer.text


@pytest.mark.parametrize(
    ("password", "again", "fault"),
    [
        (PASSWORD, PASSWORD + "x", "not the same"),
        ("short", "short", "at least 12"),
        ("x" * 200, "x" * 200, "at most 128"),
        ("password1234", "password1234", "first that others would try"),
        ("MapleDental2026", "MapleDental2026", "first that others would try"),
    ],
)
async def test_a_password_that_is_not_good_enough_leaves_the_link_as_it_is(
    grove: Grove, maple: MadeClient, mailbox: Mailbox, password: str, again: str, fault: str
) -> None:
    email = f"weak{len(password)}{len(again)}{fault[:2].strip()}@maple.example".lower()
    await add_person(grove, maple, email, password=None)
    link = await mail_to(mailbox, email)
    browser = Browser(grove)
    refused = await browser.send(link, password=password, again=again)
    assert refused.status_code == 422
    assert fault in refused.text
    assert (await browser.send(link, csrf="x", password=PASSWORD, again=PASSWORD)).status_code == 422
    assert (await statuses(grove, maple))[email] == "invited"
    assert (await browser.send(link, password=PASSWORD, again=PASSWORD)).status_code == 303


async def test_a_link_works_once_even_if_it_is_used_twice_at_once(
    grove: Grove, maple: MadeClient, mailbox: Mailbox
) -> None:
    await add_person(grove, maple, "twice@maple.example", password=None)
    link = await mail_to(mailbox, "twice@maple.example")
    browsers = [Browser(grove) for _ in range(5)]
    sent = [
        browser.send(link, password=f"{PASSWORD} {n}", again=f"{PASSWORD} {n}") for n, browser in enumerate(browsers)
    ]
    assert sorted(answer.status_code for answer in await asyncio.gather(*sent)) == [303, 404, 404, 404, 404]


async def test_a_link_is_of_its_client_its_purpose_and_its_time(
    grove: Grove, maple: MadeClient, birch: MadeClient, mailbox: Mailbox
) -> None:
    person = await add_person(grove, maple, "time@maple.example", password=None)
    link = await mail_to(mailbox, "time@maple.example")
    token = link.rpartition("/")[2]
    for path in (f"/{birch.id}/invitation/{token}", f"/maple/reset/{token}", f"/nobody/invitation/{token}"):
        assert (await Browser(grove).get(path)).status_code == 404
    again = await grove.http.post(f"{maple.path}/staff/{person['id']}/invite", headers=maple.admin)
    assert (again.status_code, again.json()["mailed"], again.json()["link"]) == (201, True, None)
    newer = await mail_to(mailbox, "time@maple.example", count=2)
    assert (await Browser(grove).get(link)).status_code == 404
    connection = await asyncpg.connect(grove.settings.main_url)
    await connection.execute("UPDATE grove.one_time_tokens SET expires_at = now() WHERE used_at IS NULL")
    stored = await connection.fetch("SELECT hash FROM grove.one_time_tokens")
    await connection.close()
    assert (await Browser(grove).get(newer)).status_code == 404
    assert all(newer.rpartition("/")[2].encode() not in row["hash"] for row in stored)


async def test_a_forgotten_password_is_replaced_and_all_sessions_end(
    grove: Grove, maple: MadeClient, mailbox: Mailbox
) -> None:
    await add_person(grove, maple, "forgetful@maple.example")
    lost, here = Browser(grove), Browser(grove)
    await lost.log_in(maple.id, "forgetful@maple.example")
    asked = await here.send("/maple/reset", email="Forgetful@Maple.example")
    assert asked.status_code == 200
    link = await mail_to(mailbox, "forgetful@maple.example")
    assert link.startswith("/maple/reset/")
    fresh = "a completely different sentence"

    assert (await here.send(link, password=fresh, again=fresh)).status_code == 303

    assert (await lost.get("/maple/")).status_code == 303
    assert (await here.log_in(maple.id, "forgetful@maple.example", PASSWORD)).status_code == 422
    assert (await here.log_in(maple.id, "forgetful@maple.example", fresh)).status_code == 303


async def test_asking_for_a_link_tells_nothing_and_mails_nobody_else(
    grove: Grove, maple: MadeClient, birch: MadeClient, mailbox: Mailbox
) -> None:
    await add_person(grove, maple, "known@maple.example")
    before = mailbox.offered
    answers = [
        await Browser(grove).send(f"/{client}/reset", email=email)
        for client, email in [
            ("maple", "known@maple.example"), ("maple", "unknown@maple.example"), (birch.id, "known@maple.example"),
        ]
    ]  # fmt: skip
    answers.append(await Browser(grove).send("/nobody/reset", email="known@maple.example"))
    answers.append(await Browser(grove).send("/maple/reset", email="\0\u202e"))
    assert {answer.status_code for answer in answers} == {200}
    shown = [answer.text.replace("birch", "maple").replace("nobody", "maple") for answer in answers]
    assert shown[0] == shown[1]
    await mail_to(mailbox, "known@maple.example")
    await Browser(grove).send("/maple/reset", email="known@maple.example")  # too soon for another
    await no_orders(grove)
    assert mailbox.offered == before + 1


async def test_a_strangers_wish_ends_no_link_and_an_administrators_is_mailed_at_once(
    grove: Grove, maple: MadeClient, mailbox: Mailbox
) -> None:
    person = (await add_person(grove, maple, "often@maple.example"))["id"]
    await Browser(grove).send("/maple/reset", email="often@maple.example")
    first = await mail_to(mailbox, "often@maple.example")
    connection = await asyncpg.connect(grove.settings.main_url)
    await connection.execute("UPDATE grove.one_time_tokens SET created_at = created_at - interval '16 minutes'")
    await connection.close()
    await Browser(grove).send("/maple/reset", email="often@maple.example")
    second = await mail_to(mailbox, "often@maple.example", count=2)
    assert [(await Browser(grove).get(link)).status_code for link in (first, second)] == [200, 200]

    given = await grove.http.post(f"{maple.path}/staff/{person}/invite", headers=maple.admin)

    assert given.json()["mailed"] is True
    third = await mail_to(mailbox, "often@maple.example", count=3)
    assert [(await Browser(grove).get(link)).status_code for link in (first, second, third)] == [404, 404, 200]


async def test_an_address_that_no_mail_can_name_holds_up_no_other(
    grove: Grove, maple: MadeClient, mailbox: Mailbox
) -> None:
    connection = await asyncpg.connect(grove.settings.main_url)
    await connection.execute(
        "INSERT INTO grove.staff (id, client_id, email, name, role, status, created_at, updated_at) "
        "VALUES (gen_random_uuid(), 'maple', 'a..b@maple.example', '', 'viewer', 'invited', now(), now())"
    )
    await connection.execute(
        "INSERT INTO grove.outgoing_mail (client_id, email, purpose, created_at, not_before, attempts) "
        "VALUES ('maple', 'a..b@maple.example', 'invitation', now(), now() - interval '1 hour', 0)"
    )
    await connection.close()
    await add_person(grove, maple, "behind@maple.example", password=None)
    await mail_to(mailbox, "behind@maple.example")
    await no_orders(grove)


async def test_whose_client_is_being_made_is_mailed_as_soon_as_it_is_there(
    grove: Grove, maple: MadeClient, birch: MadeClient, mailbox: Mailbox
) -> None:
    connection = await asyncpg.connect(grove.settings.main_url)
    status = "UPDATE grove.clients SET status = $2 WHERE id = $1"
    await connection.execute(status, birch.id, "provisioning")
    try:
        await connection.execute(
            "INSERT INTO grove.staff (id, client_id, email, name, role, status, created_at, updated_at) "
            "VALUES (gen_random_uuid(), 'birch', 'early@birch.example', '', 'viewer', 'invited', now(), now())"
        )
        await connection.execute(
            "INSERT INTO grove.outgoing_mail (client_id, email, purpose, created_at, not_before, attempts) "
            "VALUES ('birch', 'early@birch.example', 'invitation', now(), now() - interval '1 hour', 0)"
        )
        await add_person(grove, maple, "past@maple.example", password=None)
        await mail_to(mailbox, "past@maple.example")
        of_birch = "SELECT attempts, not_before < now() FROM grove.outgoing_mail WHERE client_id = 'birch'"
        assert tuple(await connection.fetchrow(of_birch)) == (0, True)
    finally:
        await connection.execute(status, birch.id, "active")
    await connection.close()
    await mail_to(mailbox, "early@birch.example")


async def no_orders(grove: Grove) -> None:
    """Wait until nothing waits to be sent."""
    connection = await asyncpg.connect(grove.settings.main_url)

    async def all_done() -> bool:
        return not await connection.fetch("SELECT FROM grove.outgoing_mail")

    await until(all_done, within_s=SENT_S)
    await connection.close()


async def test_links_are_not_asked_for_without_end(grove: Grove, maple: MadeClient) -> None:
    browser = Browser(grove, address="198.51.100.9")
    answers = [await browser.send(f"/{maple.id}/reset", email="x@maple.example") for _ in range(LINKS.free + 1)]
    assert [answer.status_code for answer in answers] == [200] * LINKS.free + [429]
    assert int(answers[-1].headers["retry-after"]) <= 30


async def test_a_mail_that_is_not_taken_is_tried_again_with_another_link(
    grove: Grove, maple: MadeClient, mailbox: Mailbox
) -> None:
    mailbox.answer = LATER
    try:
        before = mailbox.offered
        await add_person(grove, maple, "later@maple.example", password=None)

        async def was_offered() -> bool:
            return mailbox.offered > before

        await until(was_offered, within_s=SENT_S)
    finally:
        mailbox.answer = TAKEN
    connection = await asyncpg.connect(grove.settings.main_url)

    async def postponed() -> bool:
        return bool(await connection.fetch("SELECT FROM grove.outgoing_mail WHERE attempts = 1"))

    await until(postponed, within_s=SENT_S)
    links = "SELECT FROM grove.one_time_tokens JOIN grove.staff ON id = staff_id WHERE email = 'later@maple.example'"
    assert await connection.fetch(links) == []
    await connection.execute("UPDATE grove.outgoing_mail SET not_before = now()")
    await connection.close()
    assert (await Browser(grove).get(await mail_to(mailbox, "later@maple.example"))).status_code == 200


async def test_a_mailbox_that_there_is_not_is_given_up(grove: Grove, maple: MadeClient, mailbox: Mailbox) -> None:
    mailbox.answer = NEVER
    try:
        await add_person(grove, maple, "gone@maple.example", password=None)
        await no_orders(grove)
    finally:
        mailbox.answer = TAKEN
    assert mailbox.to("gone@maple.example") == []


async def test_without_a_mail_server_the_link_is_in_the_answer_once(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url, public_url=ORIGIN) as grove, grove.worker():
        oak = await grove.make_client("oak")
        headers = oak.admin | {"Idempotency-Key": "invite-1"}
        made = [
            await grove.http.post(f"{oak.path}/staff", json={"email": "o@oak.example"}, headers=headers)
            for _ in range(2)
        ]
        assert [answer.status_code for answer in made] == [201, 201]
        assert {answer.headers["cache-control"] for answer in made} == {"no-store"}
        link = made[0].json()["link"]
        assert link["purpose"] == "invitation"
        assert made[1].json() == made[0].json() | {"link": None}
        browser = Browser(grove)
        path = link["url"].removeprefix(ORIGIN)
        assert (await browser.send(path, password=PASSWORD, again=PASSWORD)).status_code == 303
        assert (await browser.log_in("oak", "o@oak.example")).status_code == 303
        assert "Ask whoever gave you access" in (await browser.get("/oak/reset")).text
        again = await grove.http.post(f"{oak.path}/staff/{made[0].json()['id']}/invite", headers=oak.admin)
        reset = again.json()["link"]
        assert reset["purpose"] == "reset"
        assert (await browser.get(reset["url"].removeprefix(ORIGIN))).status_code == 200
