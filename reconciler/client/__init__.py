"""The only socket to a cluster: nodes, TLS, credentials, timeouts, retries. Home of httpx.

    client       Client: the interface for everything else
    retry_loop   one call and all its attempts
    retry        the retry policy: pure
    node_pool    node selection, circuit breakers, retry budget
    attempt      one request to one node, and its result
    login_methods  password, token, client certificate
    options      what a client connects to, and how it behaves
    transport    HTTP over TLS within the deadline of an attempt
    tls          certificates: CAs, pins, and the texts of failures
    json_parser  parses untrusted JSON
    messages     the exceptions and their texts
    webhook      delivery of notifications

Importing this costs tens of milliseconds (httpx): callers import it where they need it. Must not know kinds or plans.
"""

from reconciler.client.client import Client
from reconciler.client.json_parser import MalformedObject, gc_paused, parse_json
from reconciler.client.options import ClientOptions
from reconciler.client.retry import RetryPolicy

__all__ = ["Client", "ClientOptions", "MalformedObject", "RetryPolicy", "gc_paused", "parse_json"]
