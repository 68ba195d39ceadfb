"""Which time zones there are: one answer for what a client may be given and for what a question may name.

Called by validation, by questions and by imports.
"""

from functools import cache
from zoneinfo import available_timezones

# Names that machines keep beside the zones: what is behind them is another thing on each machine, or no zone.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
_OTHER_SETS = ("posix/", "right/")


@cache
def zone_names() -> frozenset[str]:
    """List the zones of the IANA database by their exact names."""
    return frozenset(name for name in available_timezones() - _NO_ZONES if not name.startswith(_OTHER_SETS))
