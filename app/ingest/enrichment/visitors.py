"""Who visits: what a browser may say of itself, and what is to be found out when its event is stored. Pure.

Called by the steps; `app.ingest.visits` finds it out.
"""

from app.ingest.enrichment.campaigns import campaign_of
from app.ingest.enrichment.draft import Draft
from app.ingest.enrichment.sender import subject_of
from app.ingest.event import Arrival, Visit
from tenants.visitors import Privacy


def hold_to_privacy(draft: Draft, arrival: Arrival) -> str | None:
    """Take out what the client's privacy mode does not let a browser say; return the mode if that was something.

    Shape: under `balanced` a visitor's id is only told here, since another one is made of it when the event is stored.
    A chat event keeps its session, without which there is no conversation.
    """
    sender = arrival.sender
    privacy = sender.rules.privacy
    if not sender.is_browser or privacy is Privacy.OFF:
        return None
    if privacy is Privacy.BALANCED:
        return None if draft.visitor_id is None else privacy.value
    session_id = draft.session_id if draft.is_chat else None
    changed = (draft.visitor_id, draft.user_id, draft.session_id) != (None, None, session_id)
    draft.visitor_id = draft.user_id = None
    draft.session_id = session_id
    return Privacy.STRICT.value if changed else None


def find_visit(draft: Draft, arrival: Arrival) -> Visit | None:
    """Tell what of an event's visit is to be found out; nothing, if its sender told all or speaks for no visitor."""
    sender = arrival.sender
    if not sender.is_browser and draft.address is None:
        return None
    subject = _subject(draft, arrival)
    knows_visitor = subject is not None or draft.visitor_id is not None
    needs_session = draft.session_id is None and not draft.is_chat and knows_visitor
    if subject is None and not needs_session:
        return None
    return Visit(
        subject=subject,
        needs_session=needs_session,
        zone=sender.zone,
        campaign=campaign_of(draft.utm_source, draft.utm_medium, draft.utm_campaign),
    )


def _subject(draft: Draft, arrival: Arrival) -> bytes | None:
    """Write down what tells a visitor from others today: the id that it brings, or where it comes from and how."""
    sender = arrival.sender
    if draft.visitor_id is not None:
        rotates = sender.is_browser and sender.rules.privacy is Privacy.BALANCED
        return b"visitor\0" + draft.visitor_id.encode() if rotates else None
    if draft.address is None or draft.is_bot:
        return None
    return sender.subject or subject_of(draft.address, draft.agent, "")
