"""A client's own host: proven before it is served, and then all of it is that client's."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from provisioning.audit import Actor
from provisioning.domains import DomainProof, proof_value, resolve_txt, unscoped_recheck_domains, verify_domain
from provisioning.lifecycle import request_removal
from tenants.clock import utc_now
from tenants.control import ControlPlane
from tenants.errors import InputRefused, StoreUnavailable, WrongState
from tenants.vault import Vault
from tests.support.browser import ORIGIN, Browser, add_person
from tests.support.grafana import ALLOWED, double_grafana
from tests.support.grove import SECRET_KEY, Grove, MadeClient, open_grove
from tests.support.loopback import Answer
from tests.support.waiting import until
from tests.support.world import World, open_world

DOMAIN = "figures.maple.example"
OWN = f"https://{DOMAIN}"
ANA = "ana@maple.example"
FILE = f"{DOMAIN}/.well-known/grove-verification"
ACTOR = Actor("cli")


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, world: World) -> AsyncIterator[Grove]:
    """An application behind https, with a worker and a Grafana."""
    async with double_grafana() as target:
        given: dict[str, Any] = {
            "public_url": ORIGIN, "grafana_url": target.url, "grafana_admin_password": target.password,
            "grafana_allow_version": ALLOWED,
        }  # fmt: skip
        async with open_grove(postgres.url, witnesses=world.witnesses, **given) as running, running.worker():
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


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    """The internet, with the web server that the domain leads to at first."""
    async with open_world() as opened:
        yield opened


class Prover:
    """Asks the world for proof. `value` is what must be found."""

    def __init__(self, control: ControlPlane, world: World, client_id: str) -> None:
        self.control = control
        self.world = world
        self.client_id = client_id
        self.value = proof_value(Vault(SECRET_KEY), client_id, DOMAIN)

    async def verify(self) -> DomainProof:
        """Look for the proof now."""
        return await verify_domain(
            self.control, Vault(SECRET_KEY), self.client_id, ACTOR, witnesses=self.world.witnesses, clock=utc_now
        )

    async def by_record(self, *records: str) -> DomainProof:
        """Look into a DNS that holds these records, and the right one for `*`."""
        self.world.records[f"_grove.{DOMAIN}"] = [self.value if record == "*" else record for record in records]
        return await self.verify()

    async def by_file(self, answer: Answer | None) -> DomainProof:
        """Look at a web server that answers like this."""
        self.world.files[FILE] = answer
        return await self.verify()

    async def recheck(self, *, days: int) -> int:
        """Do the daily round so many days from now."""
        later = timedelta(days=days)
        return await unscoped_recheck_domains(
            self.control, Vault(SECRET_KEY), self.world.witnesses, lambda: utc_now() + later
        )


@pytest.fixture
async def prover(control: ControlPlane, world: World, maple: MadeClient) -> Prover:
    """Proof of the client's domain, of which there is none yet."""
    world.records.clear()
    world.files.clear()
    world.names_known = True
    opened = Prover(control, world, maple.id)
    assert not (await opened.verify()).proven
    return opened


async def served(grove: Grove, *, wanted: bool) -> None:
    """Wait until the domain is served, or is no more."""
    browser = at(grove, OWN)

    async def is_as_wanted() -> bool:
        return ((await browser.get("/login")).status_code == 200) is wanted

    await until(is_as_wanted, within_s=3)


def at(grove: Grove, origin: str) -> Browser:
    """Open a browser on another host."""
    browser = Browser(grove)
    browser.http.base_url = origin
    return browser


async def test_a_domain_is_not_served_before_it_is_proven(grove: Grove, prover: Prover) -> None:
    assert (await at(grove, OWN).get("/login")).status_code != 200
    for records in ((), ("v=spf1 -all",), ("grove-verification=",), ("grove-verification=xyz", "*x")):
        proof = await prover.by_record(*records)
        assert not proof.proven
        assert proof.record == f"_grove.{DOMAIN}"
    assert (await at(grove, OWN).get("/login")).status_code != 200


async def test_a_proven_domain_is_the_clients_alone(grove: Grove, prover: Prover) -> None:
    assert (await prover.by_record("v=spf1 -all", "*")).proven
    browser = at(grove, OWN)

    async def is_served() -> bool:
        return (await browser.get("/login")).status_code == 200

    await until(is_served, within_s=3)
    away = await browser.get("/grafana/d/user-events")
    assert (away.status_code, away.headers["location"]) == (303, "/login?next=/grafana/d/user-events")
    assert (await browser.get("/")).headers["location"] == "/login?next=/"
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


async def test_a_session_of_one_host_is_none_on_the_other(grove: Grove, maple: MadeClient, prover: Prover) -> None:
    await prover.by_record("*")
    browser = Browser(grove)
    await browser.log_in(maple.id, ANA)
    token = browser.cookie("__Secure-grove")
    own = at(grove, OWN)
    for name in ("__Secure-grove", "grove"):
        answer = await own.get("/grafana/", headers={"Cookie": f"{name}={token}", "Accept": "text/html"})
        assert answer.status_code in {303, 404}


async def test_a_domain_whose_record_is_gone_is_served_no_more(grove: Grove, prover: Prover) -> None:
    await prover.by_record("*")
    assert not (await prover.by_record()).proven
    browser = at(grove, OWN)

    async def is_gone() -> bool:
        return (await browser.get("/login")).status_code != 200

    await until(is_gone, within_s=3)


async def test_another_domain_must_be_proven_anew(grove: Grove, maple: MadeClient, prover: Prover) -> None:
    await prover.by_record("*")
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
    grove: Grove, maple: MadeClient, control: ControlPlane, world: World
) -> None:
    bare = await grove.make_client("birch")
    asked: dict[str, Any] = {"witnesses": world.witnesses, "clock": utc_now}
    with pytest.raises(WrongState):
        await verify_domain(control, Vault(SECRET_KEY), bare.id, ACTOR, **asked)
    asked["witnesses"] = msgspec.structs.replace(world.witnesses, own_host=DOMAIN)
    with pytest.raises(InputRefused):
        await verify_domain(control, Vault(SECRET_KEY), maple.id, ACTOR, **asked)


async def test_a_file_at_the_domain_proves_it_as_well(grove: Grove, prover: Prover) -> None:
    value = prover.value
    for answer in (
        None,
        Answer(200, page=""),
        Answer(200, page=f"{value}x"),
        Answer(404, page=value),
        Answer(500, page=value),
        Answer(200, page=value + " " * 2000),
        Answer(302, page=value, headers={"location": f"https://{DOMAIN}/elsewhere"}),
    ):
        prover.world.files[f"{DOMAIN}/elsewhere"] = Answer(200, page=value)
        assert not (await prover.by_file(answer)).proven, answer
    proof = await prover.by_file(Answer(200, page=f"{value}\n"))
    assert (proof.proven, proof.by, proof.file) == (True, "file", f"https://{FILE}")
    await served(grove, wanted=True)
    # The domain leads here by now, and the file that was on the other server is ours to show, on this host alone.
    assert (await at(grove, OWN).get("/.well-known/grove-verification")).text == value
    for origin, path in ((ORIGIN, f"/{prover.client_id}"), (ORIGIN, "/nobody"), (ORIGIN, ""), (OWN, "/oak")):
        answered = await at(grove, origin).get(f"{path}/.well-known/grove-verification")
        assert value not in answered.text


async def test_a_file_is_looked_for_by_http_where_there_is_no_https(prover: Prover) -> None:
    prover.world.files[FILE] = Answer(200, page=prover.value)
    secure = prover.world.reach.pop(443)
    prover.world.reach[443] = 1
    try:
        proof = await prover.verify()
    finally:
        prover.world.reach[443] = secure
    assert (proof.proven, proof.by) == (True, "file")


async def test_a_dns_that_is_away_proves_and_disproves_nothing(grove: Grove, prover: Prover) -> None:
    await prover.by_record("*")
    prover.world.names_known = False
    with pytest.raises(StoreUnavailable):
        await prover.verify()
    assert await prover.recheck(days=30) == 0
    await served(grove, wanted=True)
    assert (await prover.by_file(Answer(200, page=prover.value))).by == "file"


async def test_a_proof_that_vanishes_is_missed_for_a_week_before_the_domain_is_let_go(
    grove: Grove, prover: Prover
) -> None:
    await prover.by_record("*")
    assert await prover.recheck(days=1) == 0
    prover.world.records.clear()
    assert await prover.recheck(days=7) == 1
    await served(grove, wanted=True)
    prover.world.files[FILE] = None  # out of reach, which may be anything
    assert await prover.recheck(days=20) == 0
    await served(grove, wanted=True)
    del prover.world.files[FILE]
    assert await prover.recheck(days=9) == 1
    await served(grove, wanted=False)
    assert await prover.recheck(days=10) == 0


async def test_the_platform_proves_a_domain_by_the_api(grove: Grove, maple: MadeClient, prover: Prover) -> None:
    path = f"{maple.path}/domain/verify"
    assert (await grove.http.post(path, headers=maple.admin)).status_code == 403
    assert (await grove.http.post("/api/v1/clients/nobody/domain/verify", headers=grove.platform)).status_code == 404
    first = (await grove.http.post(path, headers=grove.platform)).json()
    assert (first["proven"], first["record"], first["value"]) == (False, f"_grove.{DOMAIN}", prover.value)
    prover.world.records[first["record"]] = [first["value"]]
    assert (await grove.http.post(path, headers=grove.platform)).json()["by"] == "dns"
    assert (await grove.http.get(maple.path, headers=maple.admin)).json()["domainProven"] is True
    await served(grove, wanted=True)
    prover.world.names_known = False
    assert (await grove.http.post(path, headers=grove.platform)).status_code == 503


async def test_the_domain_of_a_client_that_goes_shows_nothing_of_it_and_is_free_in_the_end(
    grove: Grove, prover: Prover
) -> None:
    gone = await grove.make_client("larch", name="Larch Gardens", domain="larch.maple.example")
    value = proof_value(Vault(SECRET_KEY), "larch", "larch.maple.example")
    prover.world.records["_grove.larch.maple.example"] = [value]
    path = f"{gone.path}/domain/verify"
    assert (await grove.http.post(path, headers=grove.platform)).json()["proven"]
    taken = {"id": "alder", "name": "Alder", "domain": "larch.maple.example"}
    assert (await grove.http.post("/api/v1/clients", json=taken, headers=grove.platform)).status_code == 409
    browser = at(grove, "https://larch.maple.example")

    async def is_named() -> bool:
        return "Larch" in (await browser.get("/login")).text

    await until(is_named, within_s=3)
    assert (await grove.http.delete(gone.path, headers=grove.platform)).is_success

    async def is_neutral() -> bool:
        return not await is_named()

    await until(is_neutral, within_s=3)
    async with prover.control.session() as session:
        await request_removal(session, gone.id, ACTOR)

    async def is_removed() -> bool:
        return (await grove.http.get(gone.path, headers=grove.platform)).status_code == 404

    await until(is_removed, within_s=20)
    made = await grove.make_client("alder", domain="larch.maple.example")
    shown = (await grove.http.get(made.path, headers=made.admin)).json()
    assert (shown["domain"], shown["domainProven"]) == ("larch.maple.example", False)
    assert not (await grove.http.post(f"{made.path}/domain/verify", headers=grove.platform)).json()["proven"]


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
