"""The files that tags are: an adaptor's settings and the SDK in one, and beside it the site's own script.

Made once by each process and kept until something of the client changes. Called by `app.api.tag`.
"""

import json
from collections import OrderedDict
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import select

from app.api.scripts import Script, make_script
from app.api.sdk import sdk_script
from app.auth.guards import SERVED
from provisioning.adaptors.requests import SelectorRule, TrackingRules
from tenants.control import ControlPlane
from tenants.errors import NotFound
from tenants.ids import TenantId
from tenants.models import AdaptorRow, ApiKey
from tenants.placement import TenantContext
from tenants.registry import Registry
from tenants.revocations import RevocationFeed
from tenants.schemas import EventSchema
from tenants.shared_lookups import SharedLookups
from tenants.vault import Vault

KEPT = 2_000
_TYPED = frozenset({"number", "boolean"})


class TagFiles(msgspec.Struct, frozen=True):
    """The files of an adaptor, and the origins of its pages."""

    origins: frozenset[str]
    main: Script
    script: Script | None


class Tags:
    """Files by the container's id. One per process."""

    def __init__(
        self, control: ControlPlane, registry: Registry, vault: Vault, feed: RevocationFeed, *, base_url: str
    ) -> None:
        self._control = control
        self._registry = registry
        self._vault = vault
        self._feed = feed
        self._base_url = base_url
        self._kept: OrderedDict[str, TagFiles] = OrderedDict()  # the oldest first; made-up ids push none out
        self._lookups: SharedLookups[TagFiles | None] = SharedLookups()

    async def get(self, container_id: str) -> TagFiles:
        """Return an adaptor's files.

        Errors: NotFound, also while its client is suspended or its key revoked; StoreUnavailable.
        """
        kept = self._kept.get(container_id) if self._feed.fresh else None
        if kept is not None:
            return kept
        found = await self._lookups.find((container_id, self._feed.generation), partial(self._look_up, container_id))
        if found is None:
            raise NotFound("There is no such tag.")
        return found

    def forget_all(self) -> None:
        """Have every file made anew."""
        self._kept.clear()

    async def _look_up(self, container_id: str) -> TagFiles | None:
        generation = self._feed.generation
        query = select(AdaptorRow).join(ApiKey, ApiKey.id == AdaptorRow.key_id)
        async with self._control.session() as session:
            row = await session.scalar(
                query.where(AdaptorRow.container_id == container_id, ApiKey.revoked_at.is_(None))
            )
        if row is None:
            return None
        client = await self._registry.get_client(TenantId(row.client_id))
        if client.status not in SERVED:
            return None
        found = self._make(row, client)
        # What was read before a change arrived may be out of date: use it once, do not keep it.
        if generation == self._feed.generation:
            self._kept[container_id] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def _make(self, row: AdaptorRow, client: TenantContext) -> TagFiles:
        schema = next((each for each in client.schemas.values() if each.id == row.schema_id), None)
        script = None if row.script is None else make_script(own_script(row.script))
        source = None if script is None else f"{self._base_url}/tag/{row.container_id}.script.js?{script.tag}"
        settings = {
            "apiKey": self._vault.open(row.key_sealed),
            "apiUrl": self._base_url,
            "privacy": row.privacy,
            "more": "",
            **rule_settings(msgspec.convert(row.tracking_rules, TrackingRules), schema),
        }
        return TagFiles(frozenset(row.origins), make_script(tag_text(settings, schema, source)), script)


def tag_text(settings: dict[str, Any], schema: EventSchema | None, source: str | None) -> str:
    """Put a tag together: the settings, the SDK, what its events name as their schema, and where the script is."""
    first, second = (sdk_script(name).content.decode() for name in ("grove.js", "grove-more.js"))
    parts = [f"window.groveConfig={_literal(settings)}", first]
    if schema is not None:
        named = _literal({"schema": f"{schema.name}@{schema.version}"})
        types = _literal(sorted(schema.versions[schema.version]))
        parts.append(
            "(g=>{const event=g.event;"
            f"g.event=g.track=(n,p,d)=>event(n,p,{types}.includes(n)?{{...{named},...d}}:d)}})(grove)"
        )
    parts.append(second)
    if source is not None:
        # With CORS, so that the browser says from where, and gets it from there alone. It is given this tag's `track`:
        # when it runs, `grove` may be another tag's.
        parts.append(
            '(d=>{const s=d.createElement("script");s.crossOrigin="anonymous";'
            f"s.track=grove.event;s.src={_literal(source)};d.head.append(s)}})(document)"
        )
    return "".join(f"{part.strip()};\n".replace(";;\n", ";\n") for part in parts)


def own_script(script: str) -> str:
    """Wrap a site's own script, so that it gets the `track` of the tag that loads it and leaves no names behind."""
    return f"((track)=>{{\n{script}\n}})(document.currentScript.track);\n"


def rule_settings(rules: TrackingRules, schema: EventSchema | None) -> dict[str, Any]:
    """Write tracking rules as the SDK takes them."""
    switches = {name: value for name, value in msgspec.structs.asdict(rules).items() if name != "selectors"}
    return {"rules": switches, "select": [_selector(rule, schema) for rule in rules.selectors]}


def _selector(rule: SelectorRule, schema: EventSchema | None) -> dict[str, Any]:
    said = {} if schema is None else schema.versions[schema.version].get(rule.event, {})
    types = {name: str(kind) for name, kind in {**said, **rule.properties}.items() if kind in _TYPED}
    return {"selector": rule.selector, "event": rule.event, "on": rule.on, "types": types}


def _literal(value: Any) -> str:
    """Write a value as JavaScript that could stand in a page, too."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
