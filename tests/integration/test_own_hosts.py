"""A client's own host: proven before it is served, and then all of it is that client's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import pytest

from app.embedded.postgres import EmbeddedPostgres
from provisioning.audit import Actor
from provisioning.domains import DomainProof, resolve_txt, verify_domain
from tenants.control import ControlPlane
from tenants.errors import InputRefused, StoreUnavailable, WrongState
from tenants.vault import Vault
from tests.support.browser import ORIGIN, Browser, add_person
from tests.support.grafana import ALLOWED, double_grafana
from tests.support.grove import SECRET_KEY, Grove, MadeClient, open_grove
from tests.support.waiting import until

DOMAIN = "figures.maple.example"
OWN = f"https://{DOMAIN}"
ANA = "ana@maple.example"
ACTOR = Actor("cli")


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application behind https, with a worker and a Grafana."""
    async with double_grafana() as target:
        given: dict[str, Any] = {
            "public_url": ORIGIN, "grafana_url": target.url, "grafana_admin_password": target.password,
            "grafana_allow_version": ALLOWED,
        }  # fmt: skip
        async with open_grove(postgres.url, **given) as running, running.worker():
            yield running


@pytest.fixture(scope="module")
async def control(grove: Grove) -> AsyncIterator[ControlPlane]:
    """The administrator's view of the control plane."""
    opened = ControlPlane(grove.settings.main_url, size=1)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client with a domain and one person."""
    made = await grove.make_client("maple", name="Maple Dental", domain=DOMAIN)
    await add_person(grove, made, ANA)
    return made


async def verify(control: ControlPlane, client_id: str, *records: str) -> DomainProof:
    """Look into a DNS that holds these records, and the right one for `*`."""
    value = "grove-verification=" + Vault(SECRET_KEY).sign("domain", f"{client_id}/{DOMAIN}")

    async def resolve(name: str) -> list[str]:
        assert name == f"_grove.{DOMAIN}"
        return [value if record == "*" else record for record in records]

    return await verify_domain(control, Vault(SECRET_KEY), client_id, ACTOR, own_host="grove.test", resolve=resolve)


def at(grove: Grove, origin: str) -> Browser:
    """Open a browser on another host."""
    browser = Browser(grove)
    browser.http.base_url = origin
    return browser


async def test_a_domain_is_not_served_before_it_is_proven(
    grove: Grove, maple: MadeClient, control: ControlPlane
) -> None:
    assert (await at(grove, OWN).get("/login")).status_code != 200
    for records in ((), ("v=spf1 -all",), ("grove-verification=",), ("grove-verification=xyz", "*x")):
        proof = await verify(control, maple.id, *records)
        assert not proof.proven
        assert proof.record == f"_grove.{DOMAIN}"
    assert (await at(grove, OWN).get("/login")).status_code != 200


async def test_a_proven_domain_is_the_clients_alone(grove: Grove, maple: MadeClient, control: ControlPlane) -> None:
    assert (await verify(control, maple.id, "v=spf1 -all", "*")).proven
    browser = at(grove, OWN)

    async def is_served() -> bool:
        return (await browser.get("/login")).status_code == 200

    await until(is_served, within_s=3)
    away = await browser.get("/grafana/d/user-events")
    assert (away.status_code, away.headers["location"]) == (303, "/login?next=/grafana/d/user-events")
    assert (await browser.get("/")).headers["location"] == "/login"
    page = await browser.get("/login?next=/grafana/d/user-events")
    assert "Maple Dental" in page.text
    assert "/maple" not in page.text
    entered = await browser.send(
        "/login?next=/grafana/d/user-events", email=ANA, password="correct horse battery staple"
    )
    assert (entered.status_code, entered.headers["location"]) == (303, "/grafana/d/user-events")
    assert browser.cookie("__Host-grove") is not None
    opened = await browser.get("/grafana/d/user-events")
    assert opened.status_code == 200
    assert '<base href="/grafana/"/>' in opened.text
    assert f"connect-src {OWN}/grafana/ wss://{DOMAIN}/grafana/;" in opened.headers["content-security-policy"]
    data = {"Accept": "application/json", "Origin": OWN}
    assert (await browser.get("/grafana/api/search", headers=data)).status_code == 200
    for path in ("/maple/login", "/maple/grafana/", "/api/v1/clients", "/docs", "/oak/grafana/"):
        assert (await browser.get(path)).status_code in {303, 404}, path
    crossed = await browser.http.post("/grafana/api/ds/query", json={}, headers=data | {"Origin": ORIGIN})
    assert crossed.status_code == 403


async def test_a_session_of_one_host_is_none_on_the_other(
    grove: Grove, maple: MadeClient, control: ControlPlane
) -> None:
    await verify(control, maple.id, "*")
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    token = browser.cookie("__Secure-grove")
    own = at(grove, OWN)
    for name in ("__Secure-grove", "grove"):
        answer = await own.get("/grafana/", headers={"Cookie": f"{name}={token}", "Accept": "text/html"})
        assert answer.status_code in {303, 404}


async def test_a_domain_whose_record_is_gone_is_served_no_more(
    grove: Grove, maple: MadeClient, control: ControlPlane
) -> None:
    await verify(control, maple.id, "*")
    assert not (await verify(control, maple.id)).proven
    browser = at(grove, OWN)

    async def is_gone() -> bool:
        return (await browser.get("/login")).status_code != 200

    await until(is_gone, within_s=3)


async def test_another_domain_must_be_proven_anew(grove: Grove, maple: MadeClient, control: ControlPlane) -> None:
    await verify(control, maple.id, "*")
    other = "other.maple.example"
    changed = await grove.http.patch(maple.path, json={"domain": other}, headers=grove.platform)
    assert changed.is_success
    browser, before = at(grove, f"https://{other}"), at(grove, OWN)

    async def is_gone() -> bool:
        return (await before.get("/login")).status_code != 200

    await until(is_gone, within_s=3)
    assert (await browser.get("/login")).status_code != 200
    assert (await grove.http.patch(maple.path, json={"domain": DOMAIN}, headers=grove.platform)).is_success


async def test_the_servers_own_host_and_no_host_are_refused(
    grove: Grove, maple: MadeClient, control: ControlPlane
) -> None:
    async def none(_name: str) -> list[str]:
        return []

    bare = await grove.make_client("birch")
    with pytest.raises(WrongState):
        await verify_domain(control, Vault(SECRET_KEY), bare.id, ACTOR, own_host=None, resolve=none)
    with pytest.raises(InputRefused):
        await verify_domain(control, Vault(SECRET_KEY), maple.id, ACTOR, own_host=DOMAIN, resolve=none)


class _Names(asyncio.DatagramProtocol):
    """A DNS server that knows one TXT record."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question."""
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        name = question.question[0].name
        if str(name) == f"_grove.{DOMAIN}.":
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", '"grove-" "verification=x"', '"other"'))
        elif str(name) != f"{DOMAIN}.":
            answer.set_rcode(dns.rcode.NXDOMAIN)
        cast("asyncio.DatagramTransport", self.transport).sendto(answer.to_wire(), addr)


async def test_records_are_read_as_the_dns_has_them() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Names, local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    assert sorted(await resolve_txt(f"_grove.{DOMAIN}", resolver)) == ["grove-verification=x", "other"]
    assert await resolve_txt(DOMAIN, resolver) == []
    assert await resolve_txt(f"none.{DOMAIN}", resolver) == []
    transport.close()
    resolver.lifetime = 0.5
    resolver.port = 1
    with pytest.raises(StoreUnavailable):
        await resolve_txt(DOMAIN, resolver)
