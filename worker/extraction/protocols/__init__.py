"""What an endpoint speaks, one small class each: how a receipt is asked for, and what the answer says."""

from worker.extraction.protocols.base import Ask, EndpointProtocol, EndpointRequest, UnusableAnswer
from worker.extraction.protocols.chat import ChatProtocol
from worker.extraction.protocols.image import ImageProtocol
from worker.extraction.protocols.textract import TextractProtocol
from worker.settings import Settings

__all__ = [
    "Ask",
    "ChatProtocol",
    "EndpointProtocol",
    "EndpointRequest",
    "ImageProtocol",
    "TextractProtocol",
    "UnusableAnswer",
    "make",
]


def make(settings: Settings) -> EndpointProtocol:
    """Return the protocol that the settings name."""
    if settings.protocol == "chat":
        return ChatProtocol(
            model=settings.chat_model,
            max_tokens=settings.chat_max_tokens,
            schema=settings.chat_schema,
            form=settings.chat_response_format,
            extra=settings.chat_extra,
        )
    return TextractProtocol() if settings.protocol == "textract" else ImageProtocol()
