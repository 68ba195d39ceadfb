"""A mail server inside the test's process that keeps what it is given.

`with open_mailbox() as mailbox: … settings(smtp_url=mailbox.url) … mailbox.mails`
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from app.embedded.ports import free_port

TAKEN, LATER, NEVER = "250 OK", "451 come back later", "550 no such mailbox"


class Mailbox:
    """Everybody's mailbox. `answer` is what the server says to each mail."""

    def __init__(self, port: int) -> None:
        self.url = f"smtp://127.0.0.1:{port}"
        self.mails: list[EmailMessage] = []
        self.offered = 0
        self.answer = TAKEN

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[Any]
    ) -> str:
        """Take a recipient, or refuse it."""
        self.offered += 1
        envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep a mail."""
        content = cast("bytes", envelope.content)
        self.mails.append(message_from_bytes(content, policy=policy.default))
        return TAKEN

    def to(self, email: str) -> list[EmailMessage]:
        """Return the mails to an address."""
        return [mail for mail in self.mails if email in str(mail["To"])]


def link_in(mail: EmailMessage) -> str:
    """Return the path of the link in a mail."""
    found = re.search(r"https?://[^/\s]+(/\S+)", mail.get_content())
    assert found is not None
    return found[1]


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """Run the mail server."""
    port = free_port()
    mailbox = Mailbox(port)
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
