"""What went wrong with an upstream: kit's error for the engine, with RFC 9209's word for the answer."""

import errno
from typing import ClassVar

import aiohttp

from kit.errors import UpstreamFailed, UpstreamTimeout
from proxy.http.proxy_status import ProxyError


class Failure(UpstreamFailed):
    """An upstream failed; `proxy_error` says how."""

    def __init__(self, message: str, proxy_error: ProxyError) -> None:
        super().__init__(message)
        self.proxy_error = proxy_error


class CannotConnect(Failure):
    """Nothing was sent: another server may be asked whatever the method."""


class Disconnected(Failure):
    """The connection went before the first byte of an answer: an idempotent request may be sent again."""


class Away(UpstreamFailed):
    """Every server of the tier failed so often that none is asked for a while."""

    status: ClassVar[int] = 503


def proxy_error(error: UpstreamFailed) -> ProxyError:
    """RFC 9209's word for any failure of a fill."""
    match error:
        case Failure():
            return error.proxy_error
        case UpstreamTimeout():
            return ProxyError.HTTP_RESPONSE_TIMEOUT
        case Away():
            return ProxyError.DESTINATION_UNAVAILABLE
        case _:
            return ProxyError.PROXY_INTERNAL_ERROR


def encode(error: UpstreamFailed) -> list[str]:
    """A failure as text, for another worker of the node whose viewers wait for the same answer."""
    return [type(error).__name__, str(error), proxy_error(error).value]


def decode(text: list[str]) -> UpstreamFailed:
    """The inverse; what is not known is a plain UpstreamFailed."""
    kind, message, why = text
    match kind:
        case "CannotConnect":
            return CannotConnect(message, ProxyError(why))
        case "Disconnected":
            return Disconnected(message, ProxyError(why))
        case "Failure":
            return Failure(message, ProxyError(why))
        case "UpstreamTimeout":
            return UpstreamTimeout(message)
        case "Away":
            return Away(message)
        case _:
            return UpstreamFailed(message)


def cannot_connect(error: Exception) -> CannotConnect:
    """The failure to open a connection."""
    return CannotConnect(f"cannot connect to upstream: {type(error).__name__}", _why_no_connection(error))


def no_answer(error: Exception) -> Failure:
    """The failure between a request and the head of its answer."""
    message = f"upstream failed: {type(error).__name__}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError):
        return Disconnected(message, ProxyError.CONNECTION_TERMINATED)
    return Failure(message, ProxyError.HTTP_PROTOCOL_ERROR)


def broke_off(error: Exception | None) -> Failure:
    """The failure in a body."""
    what = f": {type(error).__name__}" if error else ""
    return Failure(f"upstream broke off{what}", ProxyError.HTTP_RESPONSE_INCOMPLETE)


def _why_no_connection(error: Exception) -> ProxyError:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return ProxyError.DNS_ERROR
        case aiohttp.ConnectionTimeoutError():
            return ProxyError.CONNECTION_TIMEOUT
        case aiohttp.ClientConnectorCertificateError():
            return ProxyError.TLS_CERTIFICATE_ERROR
        case aiohttp.ClientConnectorSSLError():
            return ProxyError.TLS_PROTOCOL_ERROR
        case aiohttp.ClientConnectorError(os_error=OSError(errno=errno.ECONNREFUSED)):
            return ProxyError.CONNECTION_REFUSED
        case _:
            return ProxyError.DESTINATION_UNAVAILABLE
