"""The only socket to a cluster: nodes, TLS, login, deadlines, retries. Home of httpx.

    calls      Client: one call and all its attempts; what others use
    exchange   one attempt: a request to one node, its answer understood
    nodes      which node is asked next
    retry      what may be sent again, when and how often: pure
    transport  HTTP over TLS, held to the deadline of an attempt
    trust      certificates: authorities, pins, and what to say of them
    safejson   parses whatever a cluster may send
    words      what is raised, and its text

Importing this costs tens of milliseconds (httpx): callers do so where they need it. Must not know kinds or plans.
"""

from reconciler.client.client import PROBE, Client
from reconciler.client.json_parser import MalformedObject, gc_paused, parse_json
from reconciler.client.retry import RetryPolicy

__all__ = ["PROBE", "Client", "MalformedObject", "RetryPolicy", "gc_paused", "parse_json"]
