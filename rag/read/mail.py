"""E-mail messages: who wrote to whom and when, the subject, the words, and the attachments' names.

Attachments are listed, not read. Headers that break the rules of mail are shown as they stand.
"""

from __future__ import annotations

import email
import email.errors
import email.header
from collections.abc import Iterator
from email.message import Message

from rag.errors import ReadError
from rag.read.draft import Draft, Writer, one_line, parse_date
from rag.read.limits import Limits
from rag.read.text import decode
from rag.read.web import write_html

__all__ = ["read_mail"]

_KNOWN = ("from", "to", "date", "subject", "message-id", "received", "content-type", "mime-version")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def read_mail(data: bytes, limits: Limits) -> Draft:
    """A message; the subject is its title, the `Date` header its date."""
    message = email.message_from_bytes(data)
    if sum(name in message for name in _KNOWN) < 2:
        raise ReadError(
            "is not an e-mail message (it has no mail headers): rename it after its real format"
        )
    if message.get_content_type() in _ENCRYPTED:
        raise ReadError("is an encrypted message: save a decrypted copy and index that")
    subject = _header(message, "subject")
    writer = Writer(limits.max_text_chars)
    writer.block(subject)
    names = ("From", "To", "Cc", "Date")
    writer.lines([f"{n}: {v}" for n in names if (v := _header(message, n))])
    body, attached = _parts(message)
    writer.block(_body_text(body, limits) if body is not None else "")
    if attached:
        writer.block("Attachments: " + ", ".join(attached))
    return writer.finish(subject, parse_date(_header(message, "date")))


def _parts(message: Message) -> tuple[Message | None, list[str]]:
    """The part that holds the words (plain text preferred) and the names of the attachments."""
    plain: Message | None = None
    html: Message | None = None
    attached: list[str] = []
    for part in _leaves(message):
        kind = part.get_content_type()
        name = _filename(part)
        if name or str(part.get("content-disposition", "")).lower().startswith("attachment"):
            attached.append(name or f"unnamed {kind}")
        elif kind.startswith(("text/plain", "multipart/")) and plain is None:
            plain = part
        elif kind == "text/html" and html is None:
            html = part
        elif kind == "message/rfc822":
            attached.append("a forwarded message")
    if plain is not None and not _payload(plain).strip():
        plain = None
    return plain or html, attached


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold content, in order, without those of attached messages.

    A "multipart" without parts (its boundary is missing) holds its words itself.
    """
    stack: list[Message] = [message]
    while stack:
        part = stack.pop()
        content = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(content, list):
            stack += [child for child in reversed(content) if isinstance(child, Message)]
        else:
            yield part


def _body_text(part: Message, limits: Limits) -> str:
    try:
        charset = part.get_content_charset()
    except (LookupError, ValueError):
        charset = None
    words = decode(_payload(part), charset)
    return words if part.get_content_type() != "text/html" else write_html(words, limits).text


def _payload(part: Message) -> bytes:
    """The content without its transfer encoding; as it stands where that encoding is broken."""
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError):
        content = None
    if not isinstance(content, bytes):
        content = str(part.get_payload() or "").encode("utf-8", "surrogateescape")
    return content


def _filename(part: Message) -> str:
    try:
        return one_line(_decoded(part.get_filename() or ""), 200)
    except (email.errors.MessageError, LookupError, ValueError, TypeError):
        return "unnamed"


def _header(message: Message, name: str) -> str:
    return one_line(_decoded(str(message.get(name, ""))), 2000)


def _decoded(raw: str) -> str:
    """A header with its encoded words ("=?utf-8?…?=") decoded, or as it stands if broken."""
    try:
        return str(email.header.make_header(email.header.decode_header(raw)))
    except (email.errors.MessageError, LookupError, ValueError, TypeError):
        return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
