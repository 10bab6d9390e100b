"""Why a connection failed, in words that an operator understands and that hold no secret."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

CLOSED: Final = "it closed the connection"


def reason_of(error: BaseException, *, otherwise: str | None = None) -> str:
    """Say why a connection failed: no address, and no text of a server.

    Libraries wrap the error of the socket; the innermost error that is known here says most. If
    none is, this returns `otherwise`, or the name of the error.
    """
    reasons = [reason for each in _innermost_first(error) if (reason := _reason(each))]
    return reasons[0] if reasons else otherwise or type(error).__name__


def _innermost_first(error: BaseException) -> Iterator[BaseException]:
    found: list[BaseException] = []
    next_one: BaseException | None = error
    while next_one is not None and next_one not in found:
        found.append(next_one)
        next_one = next_one.__cause__ or next_one.__context__
    return reversed(found)


def _reason(error: BaseException) -> str | None:
    match error:
        # The error of aiohttp is one of these, and lacks the message: it is in its cause.
        case ssl.SSLCertVerificationError(verify_message=str(message)):
            # After the comma, OpenSSL may name the host.
            return f"its certificate is refused: {message.partition(',')[0]}"
        case ssl.SSLCertVerificationError():
            return None
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
        case socket.gaierror():
            return "DNS does not know its name, or does not answer"
        case ConnectionRefusedError():
            return "it refuses connections"
        case TimeoutError():
            return "it does not answer in time"
        case ConnectionResetError() | BrokenPipeError() | EOFError():
            return CLOSED
        case OSError(errno=int(number)) if number in errno.errorcode:
            return f"it cannot be reached: {errno.errorcode[number]}"
        case _:
            return None
