"""What single sign-on does that data cannot say: what the identity provider says of itself goes another way in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Hook, Json, Marks, Posted, Writing
from reconciler.api.protocol import Flow, ask
from reconciler.kinds import SINGLETON

FIELD = "idp_metadata"


def decode(spec: Json, wire: Mapping[str, Any]) -> Marks:
    """Show the provider's metadata as the XML that a manifest has, not as base64."""
    issuer = wire.get("issuer")
    packed = issuer.get("metadata") if isinstance(issuer, Mapping) else ""
    if isinstance(packed, str) and packed:
        try:
            spec[FIELD] = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            spec[FIELD] = packed
    return Marks()


def put(writing: Writing) -> Flow[str]:
    """Take in the metadata first: to turn single sign-on on, the provider has to be known."""
    body = dict(writing.wire)
    text = body.pop(FIELD, None)
    if text is not None:
        packed = base64.b64encode(text.encode()).decode()
        yield from ask("POST", f"{writing.kind.rest.path}/saml/metadata/idp", {FIELD: packed})
    if body:
        yield from ask("PUT", writing.kind.rest.path, body)
    return ""


def post(writing: Writing) -> Flow[Posted]:
    """Do the same where nothing was set before."""
    yield from put(writing)
    return Posted(SINGLETON)


HOOK = Hook(needs=("issuer",), apart=frozenset({FIELD}), decode=decode, put=put, post=post)
