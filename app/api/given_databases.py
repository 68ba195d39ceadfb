"""Use the database that the operator's environment gives for a client (`<CLIENT>_DB_URL`).

Called by the onboarding route and by the CLI. It counts only for a client that is to have a database of its own and
whose request names none, so that a variable by itself creates nothing.
"""

from collections.abc import Mapping

import msgspec

from provisioning.requests import NewClient

_OWN_DATABASE = frozenset({"database", "external"})


def with_given_database(new: NewClient, client_databases: Mapping[str, str]) -> NewClient:
    """Return the request with the URL filled in, if one was given for it and is needed."""
    url = client_databases.get(new.id)
    if url is None or new.placement.url is not None or new.placement.kind not in _OWN_DATABASE:
        return new
    return msgspec.structs.replace(new, placement=msgspec.structs.replace(new.placement, url=url))
