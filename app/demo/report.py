"""What the demo tells people: progress while it fills, then where to look, and a funnel.

Progress goes to stderr and only to a terminal; the result goes to stdout.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.demo.clients import DemoClient
from app.demo.delivery import Delivered
from app.demo.grafana import LocalGrafana
from app.demo.keys import ClientKeys, Login
from app.demo.sites.opening import OpenSite
from app.demo.stopwatch import Laps
from app.demo.story import Story
from provisioning.grafana.versions import Version

_LABELS = {
    "pageLoads": "page loads",
    "widgetOpens": "widget opened",
    "humanRequests": "asked for a human",
    "accepts": "accepted",
    "callbacks": "call me back",
    "continues": "went on with the bot",
}
_BAR = 40


def say(text: str) -> None:
    """Tell what is going on."""
    click.echo(text, err=True)


@contextmanager
def progress_bars(stories: Iterable[Story]) -> Iterator[dict[str, Callable[[int], None]]]:
    """Show a bar per client while the block runs, if somebody watches; yield what moves each of them on."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:12}"), BarColumn(_BAR), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield {
            story.client.id: partial(progress.advance, progress.add_task(story.client.id, total=story.events))
            for story in stories
        }


def tell_delivery(client: DemoClient, delivered: Delivered) -> None:
    """Tell what became of a client's events."""
    known = f", {delivered.duplicates:,} were there already" if delivered.duplicates else ""
    refused = f", {delivered.rejected:,} were REJECTED" if delivered.rejected else ""
    say(f"  {client.name:14} {delivered.sent:>7,} events sent, {delivered.accepted:,} stored{known}{refused}")


def tell_start(local: LocalGrafana) -> None:
    """Tell what is about to be started."""
    engines = "Postgres, Valkey and Grove" if local.installation is None else "Postgres, Valkey, Grafana and Grove"
    if local.missing is not None:
        say(f"No Grafana is started: {local.missing} Staff will see the built-in dashboards.")
    say(f"Starting {engines} …")


def tell_where(
    url: str, platform_key: str, clients: Iterable[tuple[DemoClient, ClientKeys, Login]], *, grafana: bool
) -> None:
    """Tell the addresses, who can log in where, and keys."""
    lines = ["", f"Grove runs at {url}", f"  API docs      {url}/docs", f"  Health        {url}/health"]
    lines.append(f"  Platform key  {platform_key}")
    for client, keys, login in clients:
        lines += [
            "",
            f"{client.name} ({client.id}, {client.timezone}, own {client.placement})",
            f"  Log in        {url}/{client.id}/login",
            f"  E-mail        {login.email}",
            f"  Password      {login.password}",
            *([f"  Built-in      {url}/{client.id}/ (the same dashboards without Grafana)"] if grafana else []),
            f"  Funnel        {url}/api/{client.id}/funnel",
            f"  Server key    {keys.server}",
            f"  Admin key     {keys.admin}",
            f"  Browser key   {keys.browser}",
        ]
    click.echo("\n".join(lines))


def tell_grafana(local: LocalGrafana, version: Version | None) -> None:
    """Tell which Grafana staff see, and what is wrong with its version."""
    if version is None:
        click.echo(f"\nStaff see the built-in dashboards. No Grafana: {local.missing}")
        return
    click.echo(f"\nStaff see their own Grafana ({version.text}) through Grove.")
    if version.fault is not None:
        where = "The demo runs it, on loopback" if local.installation is not None else "It is allowed by a setting"
        click.echo(f"Careful: {version.fault} {where}; do not use it for more.")


def tell_laps(client: DemoClient, laps: Laps) -> None:
    """Tell how long the way of a new client was."""
    parts = f"onboarding {laps.onboarded_s:.2f} s, logging in {laps.entered_s:.2f} s, dashboard {laps.seen_s:.2f} s"
    say(f"  {client.name:14} {laps.total_s:.2f} s from the order to its first figure in Grafana: {parts}")


def tell_request(url: str, client: DemoClient, keys: ClientKeys) -> None:
    """Tell how to ask a first question."""
    click.echo(f"\nTry it:\n  curl -H 'Authorization: Bearer {keys.server}' {url}/api/{client.id}/funnel")


def tell_sites(url: str, sites: Iterable[OpenSite]) -> None:
    """Tell which sites can be visited, what to do there, and where that is seen."""
    lines = ["", "Two of them have a site here, which collects by its tag. Go there and be a visitor:"]
    for each in sites:
        client = each.site.client
        lines += [
            "",
            f"{client.name}, {each.site.kind}",
            f"  Visit         {each.url}/",
            f"  Do            {each.site.todo}",
            f"  See           {url}/{client.id}/login and there {each.site.dashboard}, seconds later",
        ]
    lines += ["", "A browser that asks not to be tracked (DNT, Global Privacy Control) sends nothing."]
    click.echo("\n".join(lines))


def draw_funnel(client: DemoClient, funnel: Mapping[str, int]) -> None:
    """Draw a funnel."""
    click.echo(f"\n{client.name}'s funnel of the last 30 days")
    widest = max(funnel.values(), default=0) or 1
    for name, count in funnel.items():
        bar = "█" * max(round(count / widest * _BAR), 1 if count else 0)
        click.echo(f"  {_LABELS.get(name, name):21} {bar:{_BAR}} {count:>7,}  {count / widest:>6.1%}")
