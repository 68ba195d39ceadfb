"""Dashboards as data: the checked manifest of `grafana-templates/`, and one client's copy of a dashboard.

Used by provisioning, which puts the copies into the client's Grafana, and by the built-in dashboards; pure but for
reading the files. Relations in a panel's SQL are written for the client: its schema, or its attached database.
"""

import colorsys
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from provisioning.sqltext import literal
from tenants.ids import function_prefix, quote
from tenants.placement import PlacementKind, TenantContext
from tenants.relations import OWN_SHAPE, RELATIONS, ChatTables, source_of
from tenants.sources import SourceShape

FOLDER = Path(__file__).parent.parent / "grafana-templates"
DATASOURCE = "analytics"
DEFAULT_COLOUR = "#3b82f6"
COLOURS = 6

_PLACEHOLDER = re.compile(r"\{\{([a-z0-9_]+)\}\}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_GOLDEN_ANGLE = 137.508 / 360
_Uid = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{1,38}$")]


class TemplateFault(Exception):
    """The templates are not what the manifest says; the message names the file and the fault."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dashboard in the manifest.

    Shape: `reads` tells what its panels ask: `chat` the chatbot tables, be they Grove's or an attached database's,
    `events` the client's Grove schema, `platform` the control plane. A client gets it if it asked for one of its `sets`
    and is placed in one of `placements`.
    """

    uid: _Uid
    title: str
    file: str
    folder: str
    audience: Literal["chatbot", "portfolio", "shop", "schema", "platform"]
    reads: Literal["chat", "events", "platform"]
    placements: tuple[PlacementKind, ...] = ()
    sets: tuple[str, ...] = ()


class Template(Entry, frozen=True, kw_only=True):
    """A dashboard with its JSON, in which the client's names are still placeholders."""

    model: dict[str, Any]


class Templates(msgspec.Struct, frozen=True, kw_only=True):
    """A version of all dashboards. Clients that ask for nothing get the `default_sets`."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    default_sets: tuple[str, ...]
    dashboards: tuple[Template, ...]

    @property
    def sets(self) -> frozenset[str]:
        """The names that clients may ask for."""
        return frozenset(name for template in self.dashboards for name in template.sets)

    def choose(self, wanted: Sequence[str], kind: PlacementKind) -> list[Template]:
        """List the dashboards of a client, in the manifest's order; what is not known is passed over."""
        names = set(wanted) or set(self.default_sets)
        return [each for each in self.dashboards if names & set(each.sets) and kind in each.placements]

    def platform(self) -> list[Template]:
        """List the dashboards of the platform's own organisation."""
        return [each for each in self.dashboards if each.audience == "platform"]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy is made for.

    Shape: `schema` and `tables` are None for the platform, whose dashboards read no client. `primary` is `#rrggbb`.
    """

    timezone: str
    primary: str = DEFAULT_COLOUR
    datasource_uid: str = DATASOURCE
    schema: str | None = None
    tables: ChatTables | None = None


class _Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=1)]
    default_sets: tuple[str, ...]
    dashboards: tuple[Entry, ...]


def load_templates(folder: Path = FOLDER) -> Templates:
    """Read the manifest and the dashboards that it names.

    Errors: TemplateFault.
    """
    manifest = _read(folder / "manifest.json", _Manifest)
    templates = [
        Template(**{name: getattr(entry, name) for name in Entry.__struct_fields__}, model=_read_model(folder, entry))
        for entry in manifest.dashboards
    ]
    for field in ("uid", "title", "file"):
        if len({getattr(entry, field) for entry in manifest.dashboards}) < len(templates):
            raise TemplateFault(f"manifest.json: two dashboards have the same {field}")
    if {entry.title for entry in templates} & {entry.folder for entry in templates}:
        raise TemplateFault("manifest.json: a dashboard has the title of a folder")
    found = Templates(version=manifest.version, default_sets=manifest.default_sets, dashboards=tuple(templates))
    if not set(found.default_sets) <= found.sets:
        raise TemplateFault("manifest.json: a default set has no dashboard")
    return found


@cache
def shipped_templates() -> Templates:
    """Read the templates that came with this Grove, once."""
    return load_templates()


def context_of(client: TenantContext, *, shape: SourceShape = OWN_SHAPE, datasource_uid: str = DATASOURCE) -> Context:
    """Say for whom a copy is made. `shape` is what was found at the source of an attached client."""
    source = source_of(client.placement)
    colour = client.branding.get("primaryColor")
    return Context(
        timezone=client.timezone,
        primary=colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else DEFAULT_COLOUR,
        datasource_uid=datasource_uid,
        schema=client.placement.schema,
        tables=ChatTables(source, shape, literal(source.timezone)),
    )


def render(template: Template, context: Context) -> dict[str, Any]:
    """Make the JSON of a dashboard for one client, as Grafana takes it.

    Errors: TemplateFault for a placeholder that is not known, or not to be had in this context.
    """
    names: dict[str, str] = {"timezone": context.timezone, "datasource": context.datasource_uid}
    names |= {f"colour{number}": colour for number, colour in enumerate(palette(context.primary), start=1)}
    if context.schema is not None:
        names |= {"schema": quote(context.schema), "fn": function_prefix(context.schema)}

    def fill(text: str) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[1] in RELATIONS and context.tables is not None:
                return _subquery(context.tables, match[1], text)
            if match[1] not in names:
                raise TemplateFault(f"{template.file}: {match[0]} stands for nothing")
            return names[match[1]]

        return _PLACEHOLDER.sub(replace, text)

    model: dict[str, Any] = _map_texts(template.model, fill)
    return model


def palette(primary: str) -> list[str]:
    """List colours that can be told apart, the client's own first."""
    hue, _, _ = colorsys.rgb_to_hls(*(int(primary[at : at + 2], 16) / 255 for at in (1, 3, 5)))
    turned = [
        colorsys.hls_to_rgb((hue + _GOLDEN_ANGLE * step) % 1, 0.5 if step % 2 else 0.6, 0.55)
        for step in range(1, COLOURS)
    ]
    return [primary, *("#" + "".join(f"{round(part * 255):02x}" for part in colour) for colour in turned)]


def _subquery(tables: ChatTables, relation: str, text: str) -> str:
    """Write a relation with those columns alone that the statement names, so that people can read it."""
    words = frozenset(re.findall(r"\w+", text))
    return f"(\n{tables.write(relation, wanted=words.__contains__)}\n)"


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_texts(each, change) for each in value]
    if isinstance(value, dict):
        return {name: _map_texts(each, change) for name, each in value.items()}
    return value


def _read_model(folder: Path, entry: Entry) -> dict[str, Any]:
    model: dict[str, Any] = _read(folder / entry.file, dict[str, Any])
    if (model.get("uid"), model.get("title")) != (entry.uid, entry.title):
        raise TemplateFault(f"{entry.file}: its uid or title is not the manifest's")
    return model


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise TemplateFault(f"{path.name}: {error}") from error
