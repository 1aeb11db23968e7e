"""Endpoints of modules: list, upload before 8.0, and user-defined modules since 8.0."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
import zipfile
from collections.abc import Mapping

from reconciler.simulator.api.fields import body_rules, field_rows, missing_field, schema_error, validate
from reconciler.simulator.api.messages import ApiError, Json, Request, Response, json_response
from reconciler.simulator.api.routes import serves
from reconciler.simulator.databases.modules import all_modules, find_module, module_uid, version_number
from reconciler.simulator.state import actions
from reconciler.simulator.state.model import ClusterState
from reconciler.simulator.state.records import ObjectRecord
from reconciler.simulator.state.snapshots import add_section


@serves("GET /v1/modules")
def list_all(state: ClusterState, request: Request) -> Response:
    """Show all modules; each version is a separate object."""
    return json_response(list(all_modules(state)))


@serves("GET /v1/modules/{uid}")
def get(state: ClusterState, request: Request, uid: str) -> Response:
    """Show one version of a module."""
    found = find_module(state, uid)
    if found is None:
        raise ApiError(404, "not_found", f"no module with uid {uid}")
    return json_response(found)


_CAPABILITIES = {
    "types": "has data types of its own",
    "crdb": "can be part of an Active-Active database",
    "failover_migrate": "its shards can fail over and move",
    "persistence_aof": "writes append-only files",
    "persistence_rdb": "writes snapshots",
    "clustering": "works in databases of several shards",
    "backup_restore": "can be exported, imported and backed up",
    "reshard_rebalance": "its databases can be resharded",
    "eviction_expiry": "its keys can expire and be evicted",
    "intershard_tls": "its shards can talk to each other under TLS",
    "ipv6": "works over IPv6",
    "replica_of": "can be replicated from another database",
    "no_multi_key": "has no command on several keys",
}


@serves("GET /v1/cluster/module-capabilities")
def capabilities(state: ClusterState, request: Request) -> Response:
    """Show the capabilities that modules can declare."""
    return json_response({"all_capabilities": [{"name": name, "desc": text} for name, text in _CAPABILITIES.items()]})


def _require_uploads(state: ClusterState) -> None:
    if state.cluster.fields.get("allow_modules_upload", True) is False:
        raise ApiError(
            403, "modules_upload_disabled", "the cluster does not accept modules: allow_modules_upload is off"
        )


def _upload(request: Request, data: bytes) -> bytes:
    """Return the file in a multipart body; raise 400 where there is none."""
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
    parts = [part for part in message.iter_parts() if part.get_param("name", header="content-disposition") == "module"]
    content = parts[0].get_payload(decode=True) if parts else None
    if not isinstance(content, bytes) or not content:
        raise ApiError(400, "invalid_param", "the part `module` is missing")
    return content


def _manifest(content: bytes) -> Mapping[str, Json]:
    """Return module.json of a module's zip file; raise 400 if it is not a module."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = json.loads(archive.read("module.json"))
        name, version = found["module_name"], found["version"]
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
        raise ApiError(400, "invalid_param", "that is not a zip file with a module.json") from None
    if not isinstance(name, str) or isinstance(version, bool) or not isinstance(version, int):
        raise ApiError(400, "invalid_param", "module.json needs module_name and version")
    return dict(found)


def _fields(sent: Mapping[str, Json]) -> dict[str, Json]:
    version = str(sent.get("semantic_version", sent["version"]))
    texts = ("author", "command_line_args", "config_command", "description", "email", "homepage", "license")
    return dict(
        sorted(
            {
                **{name: str(sent.get(name, "")) for name in texts},
                "bigstore_version_2_support": False,
                "capabilities": list(sent.get("capabilities", ())),
                "capability_name": str(sent.get("capability_name", sent["module_name"])),
                "compatible_redis_version": str(
                    sent.get("compatible_redis_version", sent.get("min_redis_version", ""))
                ),
                "crdb": {},
                "dependencies": sent.get("dependencies", {}),
                "display_name": str(sent.get("display_name", sent["module_name"])),
                "is_bundled": False,
                "min_redis_version": str(sent.get("min_redis_version", "")),
                "module_name": sent["module_name"],
                "semantic_version": version,
                "uid": module_uid(sent["module_name"], version),
                "version": sent.get("version", version_number(version)),
            }.items()
        )
    )


def _store(state: ClusterState, sent: Mapping[str, Json]) -> dict[str, Json]:
    fields = _fields(sent)
    if find_module(state, fields["uid"]) is not None:
        raise ApiError(400, "invalid_param", "this version of the module is on the cluster already")
    pack = {"min_redis_pack_version": str(sent.get("min_redis_pack_version", ""))}
    if "min_redis_pack_version" in field_rows("module", state.settings.server_version):
        fields = dict(sorted({**fields, **pack}.items()))
    state.user_modules[fields["uid"]] = ObjectRecord(fields, pack)
    state.changed()
    return fields


@serves("POST /v1/modules")
def upload(state: ClusterState, request: Request, data: bytes) -> Response:
    """Upload a module, as servers before 8.0 accept it."""
    return json_response(_store(state, _manifest(_upload(request, data))))


@serves("POST /v2/modules")
def upload_async(state: ClusterState, request: Request, data: bytes) -> Response:
    """Upload a module and return the action that distributes it to all nodes."""
    fields = _store(state, _manifest(_upload(request, data)))
    return _action(state, "SMUploadModule", fields)


def _action(state: ClusterState, name: str, fields: Mapping[str, Json], error: str = "") -> Response:
    action = actions.begin_action(state, name, "module", fields["uid"])
    actions.finish_action(state, action, error)
    return json_response({"action_uid": action.fields["action_uid"], **fields})


def _remove(state: ClusterState, uid: str) -> ObjectRecord:
    found = find_module(state, uid)
    if found is None:
        raise ApiError(404, "not_found", f"no module with uid {uid}")
    used = any(
        item.get("module_id") == uid for bdb in state.bdbs.values() for item in bdb.fields.get("module_list", ())
    )
    if uid not in state.user_modules or used:
        raise ApiError(406, "not_acceptable", "the module is bundled, or a database uses it")
    state.changed()
    return state.user_modules.pop(uid)


@serves("DELETE /v1/modules/{uid}", "DELETE /v2/modules/user-defined/{uid}")
def delete(state: ClusterState, request: Request, uid: str) -> Response:
    """Delete a user's module; files on nodes are kept."""
    _remove(state, uid)
    return json_response(None)


@serves("DELETE /v2/modules/{uid}")
def delete_async(state: ClusterState, request: Request, uid: str) -> Response:
    """Delete a user's module and return the action, which may fail."""
    try:
        _remove(state, uid)
    except ApiError as error:
        if error.status == 404:
            raise
        return _action(state, "SMDeleteModule", {"uid": uid}, error.description)
    return _action(state, "SMDeleteModule", {"uid": uid})


@serves("POST /v2/modules/user-defined")
def define(state: ClusterState, request: Request, body: Json) -> Response:
    """Define a user's module; its files are uploaded to each node separately."""
    _require_uploads(state)
    sent = validate("user_defined_module_request", body, body_rules(state.settings))
    lacking = missing_field("user_defined_module_request", sent, body_rules(state.settings))
    if lacking:
        raise schema_error(lacking, "missing")
    if find_module(state, module_uid(sent["module_name"], sent["semantic_version"])) is not None:
        raise ApiError(406, "not_acceptable", "this version of the module is on the cluster already")
    return json_response(_store(state, sent))


@serves("GET /v2/local/modules/user-defined/artifacts")
def artifacts(state: ClusterState, request: Request) -> Response:
    """Show the module files on the addressed node."""
    return json_response([record.fields for record in state.artifacts.get(request.node, {}).values()])


@serves("POST /v2/local/modules/user-defined/artifacts")
def add_artifact(state: ClusterState, request: Request, data: bytes) -> Response:
    """Upload a module's zip file to the addressed node."""
    _require_uploads(state)
    found = _manifest(_upload(request, data))
    known = state.artifacts.setdefault(request.node, {})
    name, version = str(found["module_name"]), int(found["version"])
    if (name, str(version)) in known:
        raise ApiError(406, "not_acceptable", "this version of the module is on the node already")
    fields = {"module_name": name, "version": version, "dependencies": sorted(found.get("dependencies") or ())}
    known[name, str(version)] = ObjectRecord(fields)
    state.changed()
    return json_response(None)


@serves("DELETE /v2/local/modules/user-defined/artifacts/{module_name}/{version}")
def delete_artifact(state: ClusterState, request: Request, name: str, version: str) -> Response:
    """Delete a module's zip file from the addressed node."""
    if state.artifacts.get(request.node, {}).pop((name, version), None) is None:
        raise ApiError(404, "not_found", f"no module {name} {version} on this node")
    state.changed()
    return json_response(None)


def _load(state: ClusterState, body: Json) -> None:
    state.user_modules = {item["uid"]: ObjectRecord(dict(item)) for item in body if not item.get("is_bundled", True)}


add_section("/v1/modules", _load, lambda state: list(all_modules(state)))
