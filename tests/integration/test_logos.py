"""A client's logo: fetched once, drawn anew, and shown from below the client's own paths."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from PIL import Image

from app.embedded.postgres import EmbeddedPostgres
from provisioning.logos import refresh_logos
from tenants.clock import utc_now
from tenants.control import ControlPlane
from tests.support.browser import ORIGIN, Browser
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.loopback import Answer
from tests.support.waiting import until
from tests.support.world import World, open_world

LOGO = "https://maple.example/logo.png"


def picture(colour: str = "red", size: tuple[int, int] = (300, 60)) -> Answer:
    """Serve a picture of one colour, under a type that is not its own."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return Answer(200, content=file.getvalue(), headers={"content-type": "text/html"})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The internet."""
    async with open_world() as opened:
        yield opened


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application behind https; its workers, whose own world has no `.example`, run only where they are needed."""
    async with open_grove(postgres.url, public_url=ORIGIN) as running:
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    async with grove.worker():
        return await grove.make_client("maple", name="Maple Dental")


@pytest.fixture(scope="module")
async def control(grove: Grove) -> AsyncIterator[ControlPlane]:
    """The administrator's view of the control plane."""
    opened = ControlPlane(grove.settings.main_url, size=2)
    yield opened
    await opened.close()


class Shelf:
    """A client whose logo changes."""

    def __init__(self, grove: Grove, client: MadeClient, control: ControlPlane, world: World) -> None:
        self.grove = grove
        self.client = client
        self.control = control
        self.world = world

    async def give(self, url: str | None) -> None:
        """Change the address."""
        change = {"branding": {"logoUrl": url}}
        answer = await self.grove.http.patch(self.client.path, json=change, headers=self.client.admin)
        assert answer.is_success, answer.text

    async def refresh(self, *, later: timedelta = timedelta()) -> int:
        """Do the workers' round."""
        return await refresh_logos(self.control, self.world.outside, lambda: utc_now() + later)

    async def state(self) -> dict[str, str | None] | None:
        """Read what is told of it."""
        answer = await self.grove.http.get(self.client.path, headers=self.client.admin)
        logo: dict[str, str | None] | None = answer.json()["logo"]
        return logo

    async def shown(self) -> bytes | None:
        """Open the login page and what it shows, as a browser does."""
        browser = Browser(self.grove)
        page = (await browser.get("/maple/login")).text
        if "<img" not in page:
            assert 'rel="icon" href="/maple/assets/mark.svg?v=' in page
            return None
        assert 'rel="icon" href="/maple/assets/icon.png?v=' in page
        answer = await browser.get(page.partition('<img src="')[2].partition('"')[0])
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        return answer.content

    async def shows(self, colour: tuple[int, int, int] | None) -> None:
        """Wait until every process has heard of it."""

        async def is_shown() -> bool:
            found = await self.shown()
            if found is None or colour is None:
                return found is None and colour is None
            with Image.open(io.BytesIO(found)) as image:
                pixel = image.convert("RGB").getpixel((1, 1))
                return pixel == colour

        await until(is_shown, within_s=3)


@pytest.fixture
async def shelf(grove: Grove, maple: MadeClient, control: ControlPlane, world: World) -> AsyncIterator[Shelf]:
    """A client without a logo."""
    opened = Shelf(grove, maple, control, world)
    yield opened
    await opened.give(None)
    await opened.refresh()


async def test_a_logo_is_fetched_once_and_shown_from_the_clients_own_paths(shelf: Shelf, world: World) -> None:
    world.files["maple.example/logo.png"] = picture()
    assert await shelf.state() is None
    await shelf.give(LOGO)
    assert await shelf.refresh() == 1
    assert await shelf.state() == {"state": "shown", "detail": None}
    await shelf.shows((255, 0, 0))
    assert await shelf.refresh() == 0
    assert world.calls == ["maple.example/logo.png"]
    icon = await Browser(shelf.grove).get("/maple/assets/icon.png")
    assert Image.open(io.BytesIO(icon.content)).size == (64, 64)
    assert icon.headers["cache-control"] == "no-cache"


async def test_a_logo_that_changes_at_its_address_is_seen_a_day_later(shelf: Shelf, world: World) -> None:
    world.files["maple.example/logo.png"] = picture()
    await shelf.give(LOGO)
    await shelf.refresh()
    world.files["maple.example/logo.png"] = picture("blue")
    assert await shelf.refresh(later=timedelta(hours=23)) == 0
    assert await shelf.refresh(later=timedelta(hours=25)) == 1
    await shelf.shows((0, 0, 255))
    world.files["maple.example/logo.png"] = None
    assert await shelf.refresh(later=timedelta(hours=50)) == 0
    assert (await shelf.state() or {})["state"] == "shown"
    await shelf.shows((0, 0, 255))


@pytest.mark.parametrize(
    ("url", "answer", "told"),
    [
        (LOGO, Answer(404, page=""), "status 404"),
        (LOGO, Answer(200, page="<svg/>"), "none of PNG"),
        (LOGO, None, "cannot be reached"),
        (LOGO, Answer(302, page="", headers={"location": "http://169.254.169.254/"}), "not on the public internet"),
        ("https://127.0.0.2/logo.png", None, "cannot be reached"),
        ("https://10.0.0.1/logo.png", None, "not on the public internet"),
        ("https://nowhere.test/logo.png", None, "no such host"),
        ("https://maple.example:8080/logo.png", None, "another port"),
    ],
)
async def test_what_cannot_be_had_leaves_the_initial_and_is_told(
    shelf: Shelf, world: World, url: str, answer: Answer | None, told: str
) -> None:
    world.files["maple.example/logo.png"] = answer
    await shelf.give(url)
    assert await shelf.refresh() == 0
    state = await shelf.state() or {}
    assert (state["state"], told in str(state["detail"])) == ("failed", True)
    await shelf.shows(None)
    mark = await Browser(shelf.grove).get("/maple/assets/mark.svg")
    assert ">M</text>" in mark.text
    calls = len(world.calls)
    await shelf.refresh(later=timedelta(minutes=30))
    assert len(world.calls) == calls
    world.files["maple.example/logo.png"] = picture()
    assert await shelf.refresh(later=timedelta(hours=2)) == (1 if url == LOGO else 0)


async def test_another_address_is_no_longer_the_old_logo(shelf: Shelf, world: World) -> None:
    world.files["maple.example/logo.png"] = picture()
    await shelf.give(LOGO)
    await shelf.refresh()
    await shelf.shows((255, 0, 0))
    await shelf.give("https://maple.example/other.png")
    await shelf.shows(None)
    assert await shelf.state() == {"state": "pending", "detail": None}
    await shelf.refresh()
    await shelf.shows(None)
    assert (await Browser(shelf.grove).get("/maple/assets/logo.png")).status_code == 404
    await shelf.give(None)
    await shelf.refresh()
    assert await shelf.state() is None


async def test_a_logo_that_never_comes_holds_up_neither_onboarding_nor_other_logos(
    grove: Grove, shelf: Shelf, world: World
) -> None:
    world.files["maple.example/logo.png"] = picture()
    async with grove.worker():
        stuck = await grove.make_client("birch", branding={"logoUrl": "https://10.0.0.1/logo.png"})
        assert stuck.body["status"] == "active"

        async def is_told() -> bool:
            shown = await grove.http.get(stuck.path, headers=stuck.admin)
            return "public internet" in str(shown.json()["logo"]["detail"])

        await until(is_told, within_s=15)
    await shelf.give(LOGO)
    await shelf.refresh()
    await shelf.shows((255, 0, 0))


async def test_rounds_at_once_and_a_client_that_changes_meanwhile_spoil_nothing(shelf: Shelf, world: World) -> None:
    world.files["maple.example/logo.png"] = picture()
    world.files["maple.example/other.png"] = picture("blue")
    await shelf.give(LOGO)
    rounds = [asyncio.create_task(shelf.refresh()) for _ in range(4)]
    await asyncio.sleep(0)
    await shelf.give("https://maple.example/other.png")
    await asyncio.gather(*rounds)
    await shelf.refresh()
    await shelf.shows((0, 0, 255))


async def test_nobody_sees_the_pictures_of_a_client_that_is_shut(shelf: Shelf, world: World) -> None:
    world.files["maple.example/logo.png"] = picture()
    await shelf.give(LOGO)
    await shelf.refresh()
    await shelf.shows((255, 0, 0))
    headers = shelf.grove.platform
    assert (await shelf.grove.http.post(f"{shelf.client.path}/suspend", headers=headers)).is_success
    try:

        async def is_hidden() -> bool:
            maple, nobody = [
                await Browser(shelf.grove).get(f"/{name}/assets/{file}")
                for file in ("logo.png",)
                for name in ("maple", "nobody")
            ]
            return maple.status_code == nobody.status_code == 404

        await until(is_hidden, within_s=3)
        sheets = [(await Browser(shelf.grove).get(f"/{name}/assets/brand.css")).text for name in ("maple", "nobody")]
        assert sheets[0] == sheets[1]
    finally:
        assert (await shelf.grove.http.post(f"{shelf.client.path}/resume", headers=headers)).is_success
