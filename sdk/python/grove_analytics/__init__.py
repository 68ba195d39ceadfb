"""Sends events to Grove: `Grove(key, url).track("page_loaded", session_id="s1")`."""

from grove_analytics.client import Grove
from grove_analytics.delivery import Rejected

__all__ = ["Grove", "Rejected"]
