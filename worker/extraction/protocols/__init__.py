"""Endpoint protocols, one class each: how a receipt is requested, and how the answer is read."""

from worker.extraction.protocols.base import EndpointProtocol, EndpointRequest, FailedExchange, UnusableAnswer
from worker.extraction.protocols.chat import ChatProtocol
from worker.extraction.protocols.image import ImageProtocol
from worker.extraction.protocols.textract import TextractProtocol
from worker.settings import Settings

__all__ = [
    "ChatProtocol",
    "EndpointProtocol",
    "EndpointRequest",
    "FailedExchange",
    "ImageProtocol",
    "TextractProtocol",
    "UnusableAnswer",
    "make",
]


def make(settings: Settings) -> EndpointProtocol:
    """Return the protocol that is configured in the settings."""
    if settings.protocol == "chat":
        return ChatProtocol(
            model=settings.chat_model,
            max_tokens=settings.chat_max_tokens,
            schema=settings.chat_schema,
            form=settings.chat_response_format,
            extra=settings.chat_extra,
        )
    return TextractProtocol() if settings.protocol == "textract" else ImageProtocol()
