"""What each kind of operation consists of: its steps, in order.

Read by the runner, and by whoever stores the intent.
"""

import msgspec

from provisioning.access import ROLES, SERVER_ACCESS
from provisioning.filling import ACTIVATION, KEYS, TABLES
from provisioning.grafana.reconcile import RECONCILIATION
from provisioning.grafana.steps import GRAFANA
from provisioning.isolation import ISOLATION_CHECK
from provisioning.placing import PLACE
from provisioning.removal import REMOVAL
from provisioning.retention import PARTITIONS, RETAIN
from provisioning.schemas.publication import PUBLICATION, PUBLISH
from provisioning.sources import SOURCE
from provisioning.spaces import DATABASE, SCHEMA, WALLS
from provisioning.work import Step

CREATE = "client.create"
REMOVE = "client.remove"
CHECK = "client.isolation_check"
RECONCILE = "grafana.reconcile"


class Plan(msgspec.Struct, frozen=True):
    """The steps of a kind. An `endless` operation is tried again whatever fails: it can only go forward."""

    steps: tuple[Step, ...]
    endless: bool = False

    @property
    def names(self) -> list[str]:
        """The steps' names, in order."""
        return [step.name for step in self.steps]


# A client is switched on before Grafana's turn, so that it can send events while Grafana is away.
PLANS = {
    CREATE: Plan((PLACE, SERVER_ACCESS, ROLES, DATABASE, SCHEMA, WALLS, TABLES, SOURCE, KEYS, ACTIVATION, *GRAFANA)),
    REMOVE: Plan(REMOVAL, endless=True),
    CHECK: Plan(ISOLATION_CHECK),
    RECONCILE: Plan(RECONCILIATION),
    RETAIN: Plan((PARTITIONS,)),
    PUBLISH: Plan(PUBLICATION),
}
