"""The hook of single sign-on: the metadata of the identity provider is uploaded to an endpoint of its own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from reconciler.api.hooks.base import Created, Hook, Json, LiveMetadata, WriteContext
from reconciler.api.protocol import Flow, request
from reconciler.kinds import SINGLETON

FIELD = "idp_metadata"


def decode(spec: Json, wire: Mapping[str, Any]) -> LiveMetadata:
    """Return the provider's metadata as the XML of a manifest, not as base64."""
    issuer = wire.get("issuer")
    packed = issuer.get("metadata") if isinstance(issuer, Mapping) else ""
    if isinstance(packed, str) and packed:
        try:
            spec[FIELD] = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            spec[FIELD] = packed
    return LiveMetadata()


def update(context: WriteContext) -> Flow[str]:
    """Upload the metadata first: single sign-on can be enabled only for a known provider."""
    body = dict(context.wire)
    text = body.pop(FIELD, None)
    if text is not None:
        packed = base64.b64encode(text.encode()).decode()
        yield from request("POST", f"{context.kind.rest.path}/saml/metadata/idp", {FIELD: packed})
    if body:
        yield from request("PUT", context.kind.rest.path, body)
    return ""


def create(context: WriteContext) -> Flow[Created]:
    """Do the same where nothing was configured before."""
    yield from update(context)
    return Created(SINGLETON)


HOOK = Hook(
    required_fields=("issuer",), separate_fields=frozenset({FIELD}), decode=decode, update=update, create=create
)
