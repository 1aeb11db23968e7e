"""Single sign-on apart from its settings: metadata of both sides, and its deletion; the cached OCSP status."""

from __future__ import annotations

import base64
import binascii
import time
import xml.etree.ElementTree as ElementTree

from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.cluster.certificates import drop_certificate, stored_certificates
from reconciler.simulator.resources.singletons import initial_fields
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord

_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"


@serves("DELETE /v1/cluster/sso")
def delete(state: ClusterState, request: Request) -> Response:
    """Delete the single sign-on configuration and its certificates."""
    service = state.singletons["sso"].fields["service"]
    state.singletons["sso"] = ObjectRecord({**initial_fields("sso", state.settings.server_version), "service": service})
    for name in ("sso_service", "sso_issuer"):
        drop_certificate(state, name)
    state.changed()
    return json_response(None)


@serves("GET /v1/cluster/sso/saml/metadata/sp")
def service_metadata(state: ClusterState, request: Request) -> Response:
    """Show the metadata of the service provider, as XML."""
    certificate = stored_certificates(state).fields.get("sso_service_cert")
    if not certificate:
        raise ApiError(406, "missing_certificate", "the certificate sso_service is needed")
    saml = state.singletons["sso"].fields["service"]["saml2"]
    root = ElementTree.Element(f"{{{_METADATA}}}EntityDescriptor", entityID=saml["entity_id"])
    service = ElementTree.SubElement(
        root, f"{{{_METADATA}}}SPSSODescriptor", protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"
    )
    key = ElementTree.SubElement(service, f"{{{_METADATA}}}KeyDescriptor", use="signing")
    info = ElementTree.SubElement(key, f"{{{_SIGNATURE}}}KeyInfo")
    data = ElementTree.SubElement(info, f"{{{_SIGNATURE}}}X509Data")
    body = "".join(line for line in certificate.splitlines() if line and not line.startswith("-----"))
    ElementTree.SubElement(data, f"{{{_SIGNATURE}}}X509Certificate").text = body
    for tag, place, more in (
        ("SingleLogoutService", "slo_url", {}),
        ("AssertionConsumerService", "acs_url", {"index": "0"}),
    ):
        values = {"Binding": f"{_BINDING}POST", "Location": saml[place], **more}
        ElementTree.SubElement(service, f"{{{_METADATA}}}{tag}", values)
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(200, {"content-type": "application/samlmetadata+xml"}, text)


@serves("POST /v1/cluster/sso/saml/metadata/idp")
def issuer_metadata(state: ClusterState, request: Request, body: Json) -> Response:
    """Store the metadata of the identity provider and its endpoints."""
    text = body.get("idp_metadata") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text:
        raise ApiError(400, "saml_metadata_validation_error", "idp_metadata is needed")
    if not stored_certificates(state).fields.get("sso_service_cert"):
        raise ApiError(406, "missing_certificate", "the certificate sso_service is needed")
    root = _parsed(text)
    issuer = {"id": root.get("entityID", ""), "metadata": text}
    for name, tag in (("login_url", "SingleSignOnService"), ("logout_url", "SingleLogoutService")):
        place = root.find(f".//{{{_METADATA}}}{tag}")
        issuer[name] = place.get("Location", "") if place is not None else ""
    if not issuer["id"] or not issuer["login_url"]:
        raise ApiError(400, "saml_metadata_validation_error", "entityID and a SingleSignOnService are needed")
    _keep_certificate(state, root)
    state.singletons["sso"].set(issuer=issuer)
    state.changed()
    return json_response(dict(sorted(state.singletons["sso"].fields.items())))


def _parsed(text: str) -> ElementTree.Element:
    try:
        data = base64.b64decode(text, validate=True)
        if b"<!" in data:  # a document type could contain entities that expand without limit
            raise ValueError("document types are not taken")
        return ElementTree.fromstring(data)  # noqa: S314 - without a document type nothing expands
    except (binascii.Error, ValueError, ElementTree.ParseError):
        raise ApiError(400, "saml_metadata_parsing_error", "idp_metadata is not base64 of XML") from None


def _keep_certificate(state: ClusterState, root: ElementTree.Element) -> None:
    found = root.find(f".//{{{_SIGNATURE}}}X509Certificate")
    if found is not None and found.text:
        lines = "\n".join(found.text.split())
        text = f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
        stored_certificates(state).set(sso_issuer_cert=text)


def _ocsp_status(state: ClusterState) -> Json:
    if not state.singletons["ocsp"].fields["responder_url"]:
        return {"cert_status": "UNKNOWN", "responder_url": "", **dict.fromkeys(_TIMES, "")}
    now = [time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(state.now + later)) for later in (0, 7200)]
    times = {"produced_at": now[0], "this_update": now[0], "next_update": now[1], "revocation_time": ""}
    return {"cert_status": "GOOD", "responder_url": state.singletons["ocsp"].fields["responder_url"], **times}


_TIMES = ("produced_at", "this_update", "next_update", "revocation_time")


@serves("GET /v1/ocsp/status")
def ocsp_status(state: ClusterState, request: Request) -> Response:
    """Show the cached status of the OCSP responder."""
    return json_response(_ocsp_status(state))


@serves("POST /v1/ocsp/test")
def ocsp_test(state: ClusterState, request: Request, body: Json) -> Response:
    """Query the OCSP responder now."""
    if not state.singletons["ocsp"].fields["responder_url"]:
        raise ApiError(406, "no_responder_url", "the proxy certificate has no OCSP responder")
    return json_response(_ocsp_status(state))
