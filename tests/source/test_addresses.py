"""What may stand in `source:` of the project file, and what never reaches git's command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import InputError
from reconciler.settings import FolderSource, GitSource
from reconciler.settings.semver import highest, ranges, version
from reconciler.settings.source import SourceLimits, Verify, is_ref, protocol
from tests.input.test_settings import PROJECT, project

GOOD_URLS = {
    "https://git.example.com/shop.git": "https",
    "https://git.example.com:8443/a/b/c": "https",
    "https://dev.azure.com/org/My%20Project/_git/repo": "https",
    "https://[::1]:8443/shop.git": "https",
    "ssh://git@git.example.com/shop.git": "ssh",
    "ssh://git@git.example.com:2222/~/shop.git": "ssh",
    "ssh://git.example.com/shop.git": "ssh",
    "git@github.com:org/shop.git": "ssh",
    "/srv/git/shop.git": "file",
    "file:///srv/git/shop.git": "file",
}


def read(folder: Path, text: str) -> Any:
    found = project(folder, f"{PROJECT}source: {text}\n")
    return found.source


def problems(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("url", GOOD_URLS)
def test_usual_addresses_are_taken(url: str) -> None:
    assert protocol(url) == GOOD_URLS[url]


@pytest.mark.parametrize("name", ["main", "release/1.x", "feature-ä", "v1.0.0", "a", "x_y+z", "1"])
def test_usual_names_are_taken(name: str) -> None:
    assert is_ref(name)


def test_a_git_source_is_read_whole(tmp_path: Path) -> None:
    text = """
  url: https://git.example.com/shop.git
  semver: ">=1.2 <2"
  path: clusters/production/
  https: {username: robot, password: {valueFrom: {env: GIT_TOKEN}}, caCert: git-ca.pem}
  verify: {mode: gpg, signers: keys.asc, since: a123456789012345678901234567890123456789}
  allowRewind: a123456789012345678901234567890123456789
  interval: 5m
  timeout: 30
  limits: {size: 64MiB, commits: 500}"""
    found = project(tmp_path, f"{PROJECT}source:{text}\n")
    commit = "a123456789012345678901234567890123456789"
    assert found.source == GitSource(
        "https://git.example.com/shop.git",
        semver=">=1.2 <2",
        path="clusters/production",
        username="robot",
        password={"valueFrom": {"env": "GIT_TOKEN"}},
        ca_cert=tmp_path / "git-ca.pem",
        verify=Verify("gpg", tmp_path / "keys.asc", commit),
        allow_rewind=commit,
        interval=300.0,
        timeout=30.0,
        limits=SourceLimits(64 * 1024 * 1024, 500),
    )
    assert "GIT_TOKEN" in found.sources.logins


def test_ssh_needs_a_key_and_known_hosts(tmp_path: Path) -> None:
    found = read(tmp_path, "{url: 'git@h.example:a/b', ssh: {key: id, knownHosts: /etc/hosts.keys}}")
    assert (found.branch, found.ssh_key, found.known_hosts) == ("main", tmp_path / "id", Path("/etc/hosts.keys"))
    assert "ssh.key is missing" in problems(tmp_path, "{url: 'git@h.example:a/b'}")
    assert "ssh.knownHosts is missing" in problems(tmp_path, "{url: 'ssh://h.example/a', ssh: {key: id}}")


def test_a_folder_source_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "{folder: mounted, interval: 5s}") == FolderSource(tmp_path / "mounted", 5.0)
    assert project(tmp_path).source is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "set one of them"),
        ("{url: /a, folder: b}", "set one of them"),
        ("{folder: b, branch: main}", "only applies to git repositories"),
        ("{url: /a, branch: x, tag: y}", "branch and tag are mutually exclusive"),
        ("{url: /a, ssh: {key: a, knownHosts: b}}", "the url does not use ssh"),
        ("{url: 'https://h.example/a', ssh: {key: a, knownHosts: b}}", "the url does not use ssh"),
        ("{url: 'git@h.example:a', ssh: {key: a, knownHosts: b}, https: {username: x}}", "the url does not use https"),
        ("{url: 'https://u:p@h.example/a'}", "a URL cannot hold a user or a password"),
        ("{url: 'https://u@h.example/a'}", "a URL cannot hold a user or a password"),
        ("{url: 'https://h.example/a', https: {password: plain}}", "password"),
        ("{url: /a, verify: {mode: pgp, signers: x}}", "verify.mode"),
        ("{url: /a, verify: {mode: ssh}}", "signers"),
        ("{url: /a, verify: {mode: ssh, signers: x}, depth: 3}", "remove depth"),
        ("{url: /a, interval: 0s}", "is not a duration"),
        ("{url: /a, interval: soon}", "interval"),
        ("{url: /a, limits: {size: 0MiB}}", "is not a size"),
        ("{url: /a, allowRewind: main}", "allowRewind"),
        ("{url: /a, semver: latest}", "is not a version"),
        ("{url: 'git@h.example:a', ssh: {key: 'a\"b', knownHosts: b}}", "remove quotes"),
        ("{url: 'git@h.example:a', ssh: {key: a, knownHosts: 'b$HOME'}}", "remove quotes"),
        ("{url: /a, submodules: true}", "submodules"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    found = problems(tmp_path, text)
    assert words in found
    assert found.startswith("reconciler.yaml:19:")


def test_signers_in_the_repository_are_refused(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    text = f"{{url: {repository}, verify: {{mode: ssh, signers: repository/keys}}}}"
    assert "is inside the repository that it verifies" in problems(tmp_path, text)


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "tags", "found"),
    [
        ("1.x", "v1.0.0 v1.9.1 v2.0.0 v1.10.0-rc.1", "v1.9.1"),
        ("*", "0.1.0 v1.0.0 2.0.0-alpha", "v1.0.0"),
        ("^1.2", "1.1.9 1.2.0 1.10.0 2.0.0", "1.10.0"),
        ("^0.2.1", "0.2.0 0.2.9 0.3.0", "0.2.9"),
        ("^0.0.3", "0.0.3 0.0.4", "0.0.3"),
        ("~1.2.3", "1.2.2 1.2.9 1.3.0", "1.2.9"),
        (">=1.2 <2", "1.1.9 1.99.0 2.0.0-rc1 2.0.0", "1.99.0"),
        (">= 1.2, < 2", "1.1.9 1.3.0 2.0.0", "1.3.0"),
        (">1.2", "1.2.5 1.3.0", "1.3.0"),
        ("<=1.2", "1.2.9 1.3.0", "1.2.9"),
        ("1.2.3", "1.2.3 1.2.4", "1.2.3"),
        ("1.x || 3.x", "2.0.0 3.1.0 4.0.0", "3.1.0"),
        (">=1.2.3-rc.1 <1.2.4", "1.2.3-rc.2 1.2.3-rc.10 1.2.4-rc.1", "1.2.3-rc.10"),
        ("1.2.3-rc.1", "1.2.3-rc.1 1.2.3 1.2.3-rc.1.1", "1.2.3-rc.1"),
        ("1.x", "1.0 1.0.0.0 01.0.0 latest v1 release-1.0.0 1.0.0\n", None),
    ],
)
def test_the_highest_version_that_fits(allowed: str, tags: str, found: str | None) -> None:
    assert highest(tags.split(" "), ranges(allowed)) == found


@pytest.mark.parametrize(
    "text", ["", "latest", "1.2.3.4", "1..2", ">=", "1.x.3", "^-1", "1 ||", "==1", "1.2-rc", "9" * 20]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ranges(text)


def test_versions_have_the_order_of_semver() -> None:
    names = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1"
    found = [version(name) for name in names.split()]
    assert None not in found
    assert found == sorted(found)  # type: ignore[type-var]
