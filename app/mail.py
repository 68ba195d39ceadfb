"""Write the mails that Grove sends, and hand them to the operator's mail server.

Called by the worker. A mail names the client it is for, and no other.
"""

import asyncio
import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

from app.settings import Settings
from tenants.clock import Clock

TIMEOUT_S = 20
_PORTS = {"smtp": 587, "smtps": 465}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SUBJECTS = {"invitation": "Your access to {client}", "reset": "Set a new password for {client}"}
_TEXTS = {
    "invitation": """Hello{name},

you have been invited to the analytics of {client}. Choose a password here:

{url}

The link works once, within seven days. If you did not expect this, you need not do anything.
""",
    "reset": """Hello{name},

a new password for the analytics of {client} was asked for. Set it here:

{url}

The link works once, within an hour. If it was not you who asked, you need not do anything: your password stays as it
is.
""",
}


class MailRefused(Exception):
    """The mail server did not take a mail; `final` tells that it never will."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.final = final


def write_link_mail(
    settings: Settings, clock: Clock, *, purpose: str, client: str, email: str, name: str, url: str
) -> EmailMessage:
    """Write the mail that brings somebody a link.

    Errors: MailRefused, if the address is none that a mail's header can hold.
    """
    sender_name, sender = parseaddr(settings.mail_from or "")
    mail = EmailMessage()
    mail["From"] = Address(sender_name or client, addr_spec=sender)
    try:
        mail["To"] = Address(name, addr_spec=email)
    except (MessageError, ValueError, IndexError) as error:
        raise MailRefused("the address cannot be written", final=True) from error
    mail["Subject"] = _SUBJECTS[purpose].format(client=client)
    mail["Date"] = format_datetime(clock())
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_TEXTS[purpose].format(name=f" {name}" if name else "", client=client, url=url))
    return mail


async def send_mail(settings: Settings, mail: EmailMessage) -> None:
    """Hand a mail to the mail server.

    Errors: MailRefused.
    """
    try:
        await asyncio.to_thread(_send, settings.smtp_url or "", mail)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise MailRefused("the recipient was refused", final=all(code >= 500 for code in codes)) from error  # noqa: PLR2004 - RFC 5321: permanent
    except (smtplib.SMTPException, OSError) as error:
        raise MailRefused(type(error).__name__, final=False) from error


def _send(url: str, mail: EmailMessage) -> None:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    with connection:
        if parts.scheme == "smtp":
            _secure(connection, host, context)
        if parts.username:
            connection.login(unquote(parts.username), unquote(parts.password or ""))
        connection.send_message(mail)


def _secure(connection: smtplib.SMTP, host: str, context: ssl.SSLContext) -> None:
    """Go on encrypted; only this very machine is spoken to in the clear, since a mail holds a key to an account."""
    connection.ehlo()
    if connection.has_extn("starttls"):
        connection.starttls(context=context)
    elif host not in _LOOPBACK:
        raise smtplib.SMTPNotSupportedError("The mail server offers no encryption.")
