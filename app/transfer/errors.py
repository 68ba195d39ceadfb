"""What can go wrong when data is brought in or written out; each message is written for the operator."""

from tenants.errors import GroveError


class ImportRefused(GroveError):
    """The import cannot be done like this; nothing has been changed."""


class ExportRefused(GroveError):
    """The export cannot be written there; nothing is left behind."""


class RowRefused(Exception):
    """One row cannot be imported; it is put aside with this reason and the rest goes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
