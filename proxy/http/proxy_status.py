"""Proxy-Status (RFC 9209): on an answer that we made because upstream gave none, why."""

from enum import StrEnum

from proxy.http.cache_status import item


class ProxyError(StrEnum):
    """Error types (RFC 9209 2.3)."""

    DNS_ERROR = "dns_error"
    DESTINATION_UNAVAILABLE = "destination_unavailable"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TERMINATED = "connection_terminated"
    CONNECTION_TIMEOUT = "connection_timeout"
    TLS_CERTIFICATE_ERROR = "tls_certificate_error"
    TLS_PROTOCOL_ERROR = "tls_protocol_error"
    HTTP_RESPONSE_INCOMPLETE = "http_response_incomplete"
    HTTP_RESPONSE_TIMEOUT = "http_response_timeout"
    HTTP_PROTOCOL_ERROR = "http_protocol_error"
    PROXY_INTERNAL_ERROR = "proxy_internal_error"
    PROXY_LOOP_DETECTED = "proxy_loop_detected"


def failed(name: str, error: ProxyError) -> str:
    """The field's value; it names no host and no address behind us."""
    return f"{item(name)}; error={error.value}"
