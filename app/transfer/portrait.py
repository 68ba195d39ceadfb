"""A client as its export describes it: all its settings, schemas and adaptors; no secret, no name of a role.

Called by `grove export`; reads the control plane.
"""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.transfer.intake import describe_intake
from provisioning.staff import staff_column
from tenants.errors import NotFound
from tenants.models import Client, PlacementRow


async def describe_client(session: AsyncSession, client_id: str) -> dict[str, Any]:
    """Read a client's settings.

    Errors: NotFound.
    """
    query = select(Client, PlacementRow, staff_column()).join(PlacementRow, PlacementRow.client_id == Client.id)
    row = (await session.execute(query.where(Client.id == client_id))).tuples().one_or_none()
    if row is None:
        raise NotFound("No such client.")
    client, placement, staff = row
    return {
        "id": client.id,
        "name": client.name,
        "status": client.status,
        "timezone": client.timezone,
        "domain": client.domain,
        "branding": client.branding,
        "staff": staff,
        "dashboards": client.dashboards,
        "grafanaOrgId": client.grafana_org_id,
        "retentionDays": client.retention_days,
        "rateLimit": client.rate_limit,
        "rateBurst": client.rate_burst,
        "monthlyQuota": client.monthly_quota,
        "share": client.share,
        "visitors": client.visitors,
        "createdAt": client.created_at,
        "placement": {
            "kind": placement.kind,
            "server": placement.server,
            "partitionInterval": placement.partition_interval,
            "source": placement.source_map,
            "revision": placement.revision,
        },
        **msgspec.to_builtins(await describe_intake(session, client_id)),
    }
