"""The project file, the environment and the flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from reconciler import settings
from reconciler.errors import InputError, SecretMissing
from reconciler.kinds.validation import Validator
from reconciler.secrets import resolve
from reconciler.settings import Settings
from reconciler.settings.project import schema
from reconciler.settings.target import node_url

PROJECT = """\
apiVersion: reconciler/v1
clusters:
  - name: dev
    urls: [https://dev-1.example, "https://dev-2.example:8443/"]
    caCert: dev.pem
    username: ops
    password: {valueFrom: {file: dev.password}}
    labels: {environment: dev}
    manifests: [base, dev]
  - name: prod
    urls: [https://prod-1.example:9443]
    pin: "AA:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99"
    username: {valueFrom: {env: PROD_USER}}
    password: {valueFrom: {env: PROD_PASSWORD}}
    manifests: [base, /srv/prod]
limits: {updatePercent: 50, updateFloor: 3, fileSize: 4MiB, totalSize: 64 MiB, files: 20000, expandedNodes: 100}
state: .state
secrets: {env: [DB_*], files: secrets}
"""
ENVIRONMENT = {
    "REDIS_ENTERPRISE_URL": "https://cluster.example",
    "REDIS_ENTERPRISE_USER": "admin@example.com",
    "REDIS_ENTERPRISE_PASSWORD": "correct horse",
}


def project(folder: Path, text: str = PROJECT, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    path = folder / "reconciler.yaml"
    path.write_text(text, encoding="utf-8")
    return settings.load(path, environ or {}, flags)


def problems(folder: Path, text: str, **flags: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        project(folder, text, **flags)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


# --- the project file --------------------------------------------------------------------------------------------


def test_a_project_file_gives_clusters(tmp_path: Path) -> None:
    found = project(tmp_path)
    dev, prod = found.targets
    assert dev.name == "dev"
    assert dev.urls == ("https://dev-1.example:9443", "https://dev-2.example:8443")
    assert dev.ca_cert == tmp_path / "dev.pem"
    assert dev.labels == {"environment": "dev"}
    assert dev.manifests == (tmp_path / "base", tmp_path / "dev")
    assert prod.pin == "aabbccddeeff00112233445566778899" * 2
    assert prod.manifests == (tmp_path / "base", Path("/srv/prod"))
    assert not dev.insecure
    assert found.selected == found.targets


def test_a_project_file_gives_limits_and_folders(tmp_path: Path) -> None:
    found = project(tmp_path)
    assert found.limits == settings.ProjectLimits(50, 3, 4 * 1024**2, 64 * 1024**2, 20_000, 32, 100)
    assert found.limits.parser_limits.size == 4 * 1024**2
    assert found.state_dir == tmp_path / ".state"
    assert found.sources.env == ("DB_*",)
    assert found.sources.files == tmp_path / "secrets"


def test_defaults_are_those_of_the_safety_model(tmp_path: Path) -> None:
    found = project(tmp_path, PROJECT[: PROJECT.index("limits")])
    assert found.limits == settings.ProjectLimits(30, 10, 1024**2, 16 * 1024**2, 5_000, 32, 50_000)
    assert found.state_dir == tmp_path / ".reconciler"
    assert found.sources.env is None
    assert found.public.files == tmp_path / "public"
    assert found.public.env == ()
    assert found.sources.files == tmp_path


def test_credentials_are_looked_up_when_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "dev.password").write_text("pw-of-dev\n")
    found = project(tmp_path, environ={"PROD_USER": "u", "PROD_PASSWORD": "pw-of-prod"})
    dev, prod = (found.credentials(target) for target in found.targets)
    assert (dev[0], dev[1].reveal()) == ("ops", "pw-of-dev")
    assert (prod[0], prod[1].reveal()) == ("u", "pw-of-prod")
    assert found.redactor.redact("pw-of-dev pw-of-prod u") == "(secret) (secret) u"


def test_missing_credentials_say_whose_they_are(tmp_path: Path) -> None:
    found = project(tmp_path)
    with pytest.raises(SecretMissing, match=r"cluster dev: secret file dev\.password: not found"):
        found.credentials(found.targets[0])
    with pytest.raises(SecretMissing, match="cluster prod: environment variable PROD_USER: is not set"):
        found.credentials(found.targets[1])


def test_the_project_file_is_found_in_the_folder_and_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reconciler.yaml").write_text(PROJECT)
    assert settings.load(None, {}).project == Path("reconciler.yaml")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert settings.load(None, {}).root == tmp_path


def test_a_project_file_of_somebody_else_above_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "reconciler.yaml"
    path.write_text(PROJECT)
    below = tmp_path / "below"
    below.mkdir()
    if os.getuid() == 0:
        os.chown(path, 12345, -1)
    owner = path.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    assert settings.find_project(tmp_path) is not None
    assert settings.find_project(below) is None


def test_the_search_ends_at_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reconciler.yaml").write_text(PROJECT)
    inner = tmp_path / "inner"
    (inner / ".git").mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert settings.load(None, {}).project is None


def test_the_project_file_decides_where_there_is_one(tmp_path: Path) -> None:
    assert [target.name for target in project(tmp_path, environ=ENVIRONMENT).targets] == ["dev", "prod"]


def test_our_example_is_a_project_file() -> None:
    path = Path(__file__).parents[2] / "manifests" / "reconciler.yaml"
    assert len(settings.load(path, {}).targets) == 2


def test_the_schema_is_a_schema() -> None:
    assert Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"}) is not None
    assert schema()["additionalProperties"] is False


BAD = {
    "name: prod": (
        "name: dev",
        ['reconciler.yaml:10:5: clusters[1].name: cluster "dev" is duplicated (first defined on line 3)'],
    ),
    "username: ops": ("usrname: ops", None),
    "{valueFrom: {file: dev.password}}": ("hunter2hunter2", None),
    "manifests: [base, dev]": ("manifests: base", None),
    "reconciler/v1": ("reconciler/v2", None),
    "limits:": ("limit:", None),
    "updatePercent: 50": ("updatePercent: 101", None),
    "fileSize: 4MiB": ("fileSize: big", None),
    "PROD_PASSWORD": ("'PROD PASSWORD'", None),
    "[DB_*]": ("['$(id)']", None),
    "caCert: dev.pem": ("caCert: [dev.pem]", None),
    'pin: "AA:': ('pin: "', None),
    "name: dev\n": ("name: dev/1\n", None),
    "state: .state": ("state: 5", None),
}


@pytest.mark.parametrize("good", BAD)
def test_a_bad_project_file_is_refused_with_a_place(tmp_path: Path, good: str) -> None:
    bad, expected = BAD[good]
    found = problems(tmp_path, PROJECT.replace(good, bad))
    assert all(problem.startswith("reconciler.yaml:") for problem in found)
    assert not [problem for problem in found if "hunter2" in problem]
    if expected is not None:
        assert found == expected


def test_all_problems_come_at_once_in_reading_order(tmp_path: Path) -> None:
    text = PROJECT.replace("caCert", "caCrt").replace("updateFloor", "updateFlor").replace("state:", "stat:")
    lines = [int(problem.split(":")[1]) for problem in problems(tmp_path, text)]
    assert lines == sorted(lines)
    assert len(lines) == 3


@pytest.mark.parametrize("text", ["", "# nothing\n", PROJECT + "---\n" + PROJECT])
def test_a_project_file_is_one_document(tmp_path: Path, text: str) -> None:
    assert "a project file must have exactly one document" in problems(tmp_path, text)[0]


def test_a_project_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: no such file or directory \(check --project\)"):
        settings.load(tmp_path / "nothing.yaml", {})


# --- addresses of nodes ------------------------------------------------------------------------------------------

URLS = {
    "https://host": "https://host:9443",
    "https://host/": "https://host:9443",
    "https://host:1234": "https://host:1234",
    "https://10.0.0.1": "https://10.0.0.1:9443",
    "https://[::1]:9443": "https://[::1]:9443",
    "https://HOST.example": "https://host.example:9443",
    "HTTPS://host": "https://host:9443",
    "https://host.": "https://host.:9443",
    "http://host": "does not begin with https://",
    "host": "does not begin with https://",
    "host:9443": "does not begin with https://",
    "ftp://host": "does not begin with https://",
    "file:///etc/passwd": "does not begin with https://",
    "https://": "has no host",
    "https://:9443": "has no host",
    "https://a b": "has no host",
    "https://h_o-st": "https://h_o-st:9443",
    "https://ho!st": "has no host",
    "https://host:0": "has an invalid port",
    "https://host:99999": "is not a URL",
    "https://host:x": "is not a URL",
    "https://[::1": "is not a URL",
    "https://[zz]": "",
    "https://host/v1": "has more than a host and a port",
    "https://host?a=b": "has more than a host and a port",
    "https://host#x": "has more than a host and a port",
    "https://user:hunter2@host": "a URL cannot hold a user or a password",
    "https://user@host": "a URL cannot hold a user or a password",
}


@pytest.mark.parametrize("url", URLS)
def test_the_address_of_a_node(url: str) -> None:
    said: list[str] = []
    found = node_url(url, lambda message, hint: said.append(f"{message} ({hint})"))
    if found:
        assert (found, said) == (URLS[url], [])
    else:
        assert len(said) == 1
        assert URLS[url] in said[0]
        assert "hunter2" not in said[0]


# --- the environment ---------------------------------------------------------------------------------------------


def test_the_environment_gives_one_cluster_without_a_name() -> None:
    found = settings.load(None, ENVIRONMENT)
    (target,) = found.targets
    assert (target.name, target.title) == ("", "default")
    assert target.urls == ("https://cluster.example:9443",)
    user, password = found.credentials(target)
    assert (user, password.reveal()) == ("admin@example.com", "correct horse")
    assert found.reachable() == found.targets


def test_the_environment_can_name_several_nodes_and_a_ca() -> None:
    more = {"REDIS_ENTERPRISE_URL": "https://a, https://b:1", "REDIS_ENTERPRISE_CA_CERT": "/ca.pem"}
    (target,) = settings.load(None, ENVIRONMENT | more).targets
    assert target.urls == ("https://a:9443", "https://b:1")
    assert target.ca_cert == Path("/ca.pem")


def test_no_configuration_at_all_is_enough_to_validate_but_not_to_connect() -> None:
    found = settings.load(None, {})
    assert found.targets == ()
    with pytest.raises(InputError, match="no cluster is configured"):
        found.reachable()


def test_a_url_without_credentials_is_reported_when_they_are_needed() -> None:
    found = settings.load(None, {"REDIS_ENTERPRISE_URL": "https://a"})
    assert settings.load(None, {"REDIS_ENTERPRISE_URL": "https://a, ,\n"}).targets[0].urls == found.targets[0].urls
    with pytest.raises(SecretMissing, match="environment variable REDIS_ENTERPRISE_USER: is not set"):
        found.credentials(found.targets[0])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"REDIS_ENTERPRISE_URL": "http://a"}, "REDIS_ENTERPRISE_URL: .* does not begin with https://"),
        ({"REDIS_ENTERPRISE_LOGIN": "ldap"}, 'REDIS_ENTERPRISE_LOGIN: is "ldap"'),
        ({"REDIS_ENTERPRISE_CLIENT_CERT": "c.pem"}, "REDIS_ENTERPRISE_CLIENT_KEY: is not set"),
        ({"REDIS_ENTERPRISE_INSECURE": "maybe"}, 'REDIS_ENTERPRISE_INSECURE: is "maybe"'),
        ({"REDIS_ENTERPRISE_CACERT": "x"}, 'did you mean "REDIS_ENTERPRISE_CA_CERT"'),
    ],
)
def test_bad_variables_are_reported(more: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        settings.load(None, ENVIRONMENT | more)


# --- flags -------------------------------------------------------------------------------------------------------


def test_a_flag_selects_clusters_but_all_stay_known(tmp_path: Path) -> None:
    found = project(tmp_path, clusters=("prod",))
    assert [target.name for target in found.selected] == ["prod"]
    assert [target.name for target in found.targets] == ["dev", "prod"]


def test_an_unknown_cluster_is_reported_with_a_near_match(tmp_path: Path) -> None:
    found = problems(tmp_path, PROJECT, clusters=("prd",))
    assert found == ['--cluster: unknown cluster "prd" (did you mean "prod"?)']


def test_flags_say_where_and_whom_to_trust(tmp_path: Path) -> None:
    found = project(tmp_path, clusters=("dev",), urls=("https://localhost:1",), ca_cert="/x.pem", state_dir="/s")
    (target,) = found.selected
    assert target.urls == ("https://localhost:1",)
    assert target.ca_cert == Path("/x.pem")
    assert found.state_dir == Path("/s")
    (target,) = project(tmp_path, clusters=("dev",), pin="ab" * 32).selected
    assert target.pin == "ab" * 32


def test_flags_for_one_cluster_need_one_cluster(tmp_path: Path) -> None:
    assert problems(tmp_path, PROJECT, pin="ab" * 32) == [
        "--pin: applies to one cluster, but the selected number is 2 (add --cluster NAME)"
    ]


def test_a_flag_can_give_the_url_beside_the_environment() -> None:
    credentials = {name: value for name, value in ENVIRONMENT.items() if not name.endswith("URL")}
    assert settings.load(None, credentials, {"urls": ("https://a",)}).targets[0].urls == ("https://a:9443",)


def test_bad_values_of_flags_are_reported(tmp_path: Path) -> None:
    found = problems(tmp_path, PROJECT, clusters=("dev",), urls=("http://x",), pin="12")
    assert found == [
        '--url: "http://x" does not begin with https:// (write https://HOST:9443)',
        "--pin: is not a SHA-256 fingerprint (write its 64 hexadecimal digits)",
    ]


# --- insecure ----------------------------------------------------------------------------------------------------

INSECURE = PROJECT.replace("caCert: dev.pem", "insecure: true")


def test_insecure_takes_configuration_and_flag(tmp_path: Path) -> None:
    found = project(tmp_path, INSECURE, clusters=("dev",), insecure=True)
    assert found.selected[0].insecure
    assert found.warnings == ("cluster dev: certificates are NOT verified; traffic can be read and modified",)


def test_insecure_without_the_flag_has_no_effect_and_says_so(tmp_path: Path) -> None:
    found = project(tmp_path, INSECURE)
    assert [target.insecure for target in found.targets] == [False, False]
    assert found.warnings == ("cluster dev: certificates are verified; insecure only takes effect with --insecure",)


def test_the_flag_without_configuration_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, PROJECT, clusters=("dev",), insecure=True) == [
        "--insecure: is not enabled in the configuration of cluster dev "
        "(set insecure: true in the project file as well)"
    ]


def test_insecure_from_the_environment_takes_the_flag_too() -> None:
    agreed = ENVIRONMENT | {"REDIS_ENTERPRISE_INSECURE": "1"}
    assert settings.load(None, agreed, {"insecure": True}).selected[0].insecure
    assert not settings.load(None, agreed).selected[0].insecure


def test_a_cluster_that_is_not_selected_stays_verified(tmp_path: Path) -> None:
    both = INSECURE.replace('pin: "AA', 'insecure: true #"AA')
    found = project(tmp_path, both, clusters=("dev",), insecure=True)
    assert [target.insecure for target in found.targets] == [True, False]


def test_manifests_cannot_read_the_credentials_of_clusters_unless_allowed(tmp_path: Path) -> None:
    environ = {"PROD_USER": "u", "PROD_PASSWORD": "p", "DB_A": "d"}
    closed = project(tmp_path, PROJECT[: PROJECT.index("secrets")], environ).sources
    assert resolve({"env": "DB_A"}, closed).reveal() == "d"
    pattern = project(tmp_path, PROJECT.replace("[DB_*]", "[PROD_*]"), environ).sources
    for sources in (closed, pattern):
        with pytest.raises(SecretMissing, match="PROD_PASSWORD: is set, but manifests may not read it"):
            resolve({"env": "PROD_PASSWORD"}, sources)
    opened = project(tmp_path, PROJECT.replace("[DB_*]", "[PROD_PASSWORD]"), environ).sources
    assert resolve({"env": "PROD_PASSWORD"}, opened).reveal() == "p"


def test_manifests_cannot_read_files_with_the_credentials_of_clusters_unless_they_are_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "dev.password").write_text("pw-of-dev")
    (tmp_path / "link").symlink_to("dev.password")
    (tmp_path / "hard").hardlink_to(tmp_path / "dev.password")
    found = project(tmp_path, PROJECT[: PROJECT.index("secrets")])
    for name in ("dev.password", "link", "hard"):
        with pytest.raises(SecretMissing, match="is a credential of this project; manifests may not read it"):
            resolve({"file": name}, found.sources)
    assert found.credentials(found.targets[0])[1].reveal() == "pw-of-dev"


UNATTENDED = {"DB_A": "one", "OTHER": "two", "PROD_PASSWORD": "p"}


@pytest.mark.parametrize(("environ", "flags"), [({"CI": "true"}, {}), ({"CI": "1"}, {}), ({}, {"unattended": True})])
def test_in_ci_and_in_the_agent_manifests_read_only_listed_variables(
    tmp_path: Path, environ: dict[str, str], flags: dict[str, bool]
) -> None:
    closed = project(tmp_path, PROJECT[: PROJECT.index("secrets")], {**UNATTENDED, **environ}, **flags).sources
    with pytest.raises(SecretMissing) as caught:
        resolve({"env": "DB_A"}, closed)
    assert str(caught.value) == (
        "secrets: environment variable DB_A: is set, but manifests may not read it "
        "(list it in secrets: {env: [DB_A]} of the project file)"
    )
    opened = project(tmp_path, PROJECT, {**UNATTENDED, **environ}, **flags).sources
    assert resolve({"env": "DB_A"}, opened).reveal() == "one"
    with pytest.raises(SecretMissing, match="OTHER: is set, but manifests may not read it"):
        resolve({"env": "OTHER"}, opened)


def test_without_a_project_file_a_variable_lists_what_manifests_may_read() -> None:
    environ = {**ENVIRONMENT, **UNATTENDED, "CI": "true"}
    with pytest.raises(SecretMissing, match="add its name to REDIS_ENTERPRISE_SECRETS_ENV"):
        resolve({"env": "DB_A"}, settings.load(None, environ).sources)
    opened = settings.load(None, {**environ, "REDIS_ENTERPRISE_SECRETS_ENV": "DB_*, PROD_PASSWORD"}).sources
    assert resolve({"env": "DB_A"}, opened).reveal() == "one"
    with pytest.raises(SecretMissing, match="OTHER"):
        resolve({"env": "OTHER"}, opened)
    alone = settings.load(None, {**ENVIRONMENT, **UNATTENDED}).sources  # a person at a terminal
    assert resolve({"env": "OTHER"}, alone).reveal() == "two"


@pytest.mark.parametrize("folders", ["secrets: {files: same}\npublic: {files: same}\n", "public: {files: .}\n"])
def test_secrets_and_public_text_have_different_folders(tmp_path: Path, folders: str) -> None:
    (found,) = problems(tmp_path, PROJECT[: PROJECT.index("secrets")] + folders)
    assert "public.files: is " in found
    assert "too (" in found


def test_nothing_secret_is_in_the_settings_as_text(tmp_path: Path) -> None:
    assert "correct horse" not in repr(settings.load(None, ENVIRONMENT))


# --- layers of clusters, and what the agent does with each ---------------------------------------------------------

FLEET = """\
apiVersion: reconciler/v1
agent:
  mode: plan
  interval: 10m
  parallelism: 3
  keep: {runs: 50}
  freeze:
    - {name: office, cron: "0 8 * * 1-5", duration: 10h, timeZone: Europe/Berlin}
clusterDefaults:
  caCert: fleet.pem
  username: ops
  password: {valueFrom: {env: FLEET_PASSWORD}}
  manifests: [base]
  labels: {region: eu}
groups:
  - selector: {environment: production}
    manifests: [base, production]
    agent: {interval: 30m}
  - selector: {region: us}
    username: us-ops
    agent: {mode: apply, freeze: []}
clusters:
  - {name: one, urls: [https://one.example], labels: {environment: production}}
  - {name: two, urls: [https://two.example], labels: {environment: production, region: us}}
  - name: three
    urls: [https://three.example]
    manifests: [special]
    pin: "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899"
    agent: {suspend: true, retryInterval: {base: 1m, max: 1h}, maxDeletes: 0, prune: true}
"""


def test_defaults_and_groups_say_what_clusters_have_in_common(tmp_path: Path) -> None:
    one, two, three = project(tmp_path, FLEET).targets
    assert [(target.username, [path.name for path in target.manifests]) for target in (one, two, three)] == [
        ("ops", ["base", "production"]),
        ("us-ops", ["base", "production"]),
        ("ops", ["special"]),
    ]
    assert two.labels == {"environment": "production", "region": "us"}
    assert one.ca_cert == tmp_path / "fleet.pem"


def test_a_pin_of_its_own_goes_before_the_authority_of_all(tmp_path: Path) -> None:
    three = project(tmp_path, FLEET).targets[2]
    assert (three.ca_cert, three.pin) == (None, "aabbccddeeff00112233445566778899" * 2)


def test_each_cluster_gets_its_own_mode_pace_and_windows(tmp_path: Path) -> None:
    found = project(tmp_path, FLEET)
    one, two, three = (target.agent_policy for target in found.targets)
    office = settings.Window("office", "0 8 * * 1-5", 36_000.0, "Europe/Berlin", deny=True)
    assert one == settings.AgentPolicy(mode="plan", interval=1800.0, freeze=(office,))
    assert two == settings.AgentPolicy(mode="apply", interval=1800.0, freeze=())
    assert three == settings.AgentPolicy("plan", True, 600.0, 60.0, 3600.0, True, 0, (office,))
    assert (found.agent.parallelism, found.agent.keep_runs) == (3, 50)


def test_what_no_layer_gives_a_cluster_is_missed_at_its_place(tmp_path: Path) -> None:
    found = problems(tmp_path, FLEET.replace("  username: ops\n", ""))
    assert [text.split(" (")[0] for text in found] == [
        "reconciler.yaml:22:5: clusters[0]: username is missing",
        "reconciler.yaml:24:5: clusters[2]: username is missing",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Europe/Berlin", "Europe/Atlantis", "agent.freeze: Europe/Atlantis is not a time zone"),
        ("interval: 10m", "interval: 10m\n  retryInterval: {base: 2h}", "max (600 s) is below base (7200 s)"),
    ],
)
def test_a_mistake_in_what_holds_for_all_is_reported_once(tmp_path: Path, old: str, new: str, message: str) -> None:
    found = problems(tmp_path, FLEET.replace(old, new, 1))
    assert len([text for text in found if message in text]) == 1


def test_a_client_certificate_replaces_the_password(tmp_path: Path) -> None:
    by_certificate = "clientCert: tool.pem\n    clientKey: tool.key"
    text = PROJECT.replace("password: {valueFrom: {file: dev.password}}", by_certificate)
    (tmp_path / "tool.key").write_text("PEM")
    (tmp_path / "tool.key").chmod(0o644)
    warnings: list[str] = []
    (tmp_path / "reconciler.yaml").write_text(text, encoding="utf-8")
    found = settings.load(tmp_path / "reconciler.yaml", {}, warn=warnings.append)
    dev = found.targets[0]
    assert (dev.login, dev.client_cert, dev.client_key) == (
        "certificate",
        tmp_path / "tool.pem",
        tmp_path / "tool.key",
    )
    user, password = found.credentials(dev)
    assert (user, password.reveal()) == ("ops", "")
    assert warnings == [f"the client key {tmp_path}/tool.key can be used by every user of this machine: run chmod 600"]


def test_a_login_that_lacks_a_part_is_reported(tmp_path: Path) -> None:
    without = PROJECT.replace("    password: {valueFrom: {file: dev.password}}\n", "    clientCert: tool.pem\n")
    assert problems(tmp_path, without)[0].startswith("reconciler.yaml:3:5: clusters[0]: clientKey is missing")
    tokens = PROJECT.replace("    password: {valueFrom: {file: dev.password}}\n", "    login: jwt\n")
    assert problems(tmp_path, tokens)[0].startswith("reconciler.yaml:3:5: clusters[0]: password is missing")
