"""Signatures: every commit since the last good one, by signers who are kept outside the repository."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import SourceError, SourceStale, SourceUnverified
from reconciler.settings.source import SourceLimits, Verify
from tests.source.rig import NOW, Remote, source, texts
from tests.source.signing import TOMORROW, YESTERDAY, GpgKeys, SshKeys, signed

A = {"a.yaml": "1"}


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> SshKeys:
    return SshKeys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def gpg() -> Iterator[GpgKeys]:
    keys = GpgKeys()
    keys.make("ana")
    keys.make("mallory")
    keys.make("gone")
    keys.revoke("gone")
    keys.make("old", "--faked-system-time", "20200101T000000!", expires="2021-01-01")
    yield keys
    keys.close()


class Rig:
    """A repository, a state folder and signers, in one of the two modes."""

    def __init__(self, folder: Path, mode: str, signers: bytes) -> None:
        self.remote, self.state = Remote(folder / "remote.git"), folder / "state"
        self.signers = folder / "signers"
        self.signers.write_bytes(signers)
        self.mode = mode

    def source(self, since: str = "", **more: Any) -> Any:
        return source(self.remote, self.state, verify=Verify(self.mode, self.signers, since), **more)

    def refused(
        self,
        *,
        match: str = "are not signed by one of|no usable public key|is empty or larger than|incompatible signature",
    ) -> None:
        """Assert that what the branch leads to is refused, and that what was good stays."""
        before = self.source().accepted()
        with pytest.raises(SourceUnverified, match=match):
            self.source().fetch()
        assert self.source().accepted() == before


@pytest.fixture(params=["ssh", "gpg"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def keys(mode: str, ssh: SshKeys, gpg: GpgKeys) -> Any:
    return ssh if mode == "ssh" else gpg


@pytest.fixture
def rig(tmp_path: Path, mode: str, ssh: SshKeys, gpg: GpgKeys) -> Rig:
    public = f"ana@example.com {ssh.public('ana')}\n".encode() if mode == "ssh" else gpg.public("ana", "gone", "old")
    return Rig(tmp_path, mode, public)


# --- both ways of signing ------------------------------------------------------------------------------------------


def test_signed_commits_are_taken(rig: Rig, keys: Any) -> None:
    first = signed(rig.remote, keys.signer("ana"), A)
    follow = rig.source()
    follow.accept(follow.fetch())
    signed(rig.remote, keys.signer("ana"), {"a.yaml": "2"}, first)
    assert texts(follow.fetch()) == {"a.yaml": "2"}


def test_an_unsigned_commit_is_refused(rig: Rig, keys: Any) -> None:
    first = signed(rig.remote, keys.signer("ana"), A)
    follow = rig.source()
    follow.accept(follow.fetch())
    bad = signed(rig.remote, None, {"a.yaml": "2"}, first)
    rig.refused(match=f"{bad[:12]} is not signed")
    assert texts(rig.source().accepted()) == A


def test_an_unsigned_commit_in_the_middle_is_refused(rig: Rig, keys: Any) -> None:
    first = signed(rig.remote, keys.signer("ana"), A)
    follow = rig.source()
    follow.accept(follow.fetch())
    middle = signed(rig.remote, None, {"a.yaml": "2"}, first)
    signed(rig.remote, keys.signer("ana"), {"a.yaml": "3"}, middle)
    rig.refused(match=f"{middle[:12]} is not signed")


def test_an_unsigned_branch_that_was_merged_is_refused(rig: Rig, keys: Any) -> None:
    first = signed(rig.remote, keys.signer("ana"), A)
    follow = rig.source()
    follow.accept(follow.fetch())
    side = signed(rig.remote, None, {"a.yaml": "side"}, first)
    signed(rig.remote, keys.signer("ana"), {"a.yaml": "3"}, first, side)
    rig.refused(match=f"{side[:12]} is not signed")


def test_an_unsigned_merge_of_signed_branches_is_refused(rig: Rig, keys: Any) -> None:
    first = signed(rig.remote, keys.signer("ana"), A)
    follow = rig.source()
    follow.accept(follow.fetch())
    one = signed(rig.remote, keys.signer("ana"), {"a.yaml": "2"}, first)
    two = signed(rig.remote, keys.signer("ana"), {"a.yaml": "3"}, first)
    merge = signed(rig.remote, None, {"a.yaml": "4"}, one, two)
    rig.refused(match=f"{merge[:12]} is not signed")


def test_at_first_the_whole_history_is_looked_at(rig: Rig, keys: Any) -> None:
    root = signed(rig.remote, None, A)
    signed(rig.remote, keys.signer("ana"), {"a.yaml": "2"}, root)
    rig.refused(match=f"{root[:12]} is not signed")
    assert rig.source(since=root).fetch().files


def test_what_was_accepted_unverified_does_not_count_as_verified(rig: Rig, keys: Any) -> None:
    root = signed(rig.remote, None, A)
    loose = source(rig.remote, rig.state)
    loose.accept(loose.fetch())
    signed(rig.remote, keys.signer("ana"), {"a.yaml": "2"}, root)
    assert rig.source().accepted() is None
    rig.refused(match=f"{root[:12]} is not signed")


def test_a_stranger_is_no_signer(rig: Rig, keys: Any) -> None:
    signed(rig.remote, keys.signer("mallory"), A)
    rig.refused(match="not among the signers")


def test_a_key_in_the_repository_makes_nobody_a_signer(rig: Rig, keys: Any) -> None:
    public = keys.public("mallory")
    text = public if isinstance(public, str) else public.decode()
    files = {**A, "allowed_signers": f"mallory {text}", ".gitsigners": text, "keys/mallory.asc": text}
    signed(rig.remote, keys.signer("mallory"), files)
    rig.refused(match="not among the signers")


def test_a_signature_of_another_commit_is_refused(rig: Rig, keys: Any) -> None:
    other = keys.signer("ana")(b"tree of something else")
    signed(rig.remote, lambda text: other, A)
    rig.refused()


def test_a_commit_that_was_changed_after_it_was_signed_is_refused(rig: Rig, keys: Any) -> None:
    sign = keys.signer("ana")
    signed(rig.remote, lambda text: sign(text.replace(b"change", b"chance")), A)
    rig.refused()


def test_text_that_looks_like_a_good_verdict_is_only_text(rig: Rig) -> None:
    spoof = (
        "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0123456789ABCDEF ana <ana@example.com>\n[GNUPG:] VALIDSIG "
        + "A" * 40
        + " 2025-01-01 1735689600 0 4 0 22 8 00 "
        + "A" * 40
        + '\n[GNUPG:] TRUST_ULTIMATE 0 pgp\nGood "git" signature for ana@example.com with ED25519 key SHA256:AAAA\n'
    )
    signed(rig.remote, None, A, message=spoof)
    rig.refused(match="is not signed")
    signed(rig.remote, lambda text: spoof.encode(), A, message=spoof)
    rig.refused()


@pytest.mark.parametrize("cut", [0, 40, 120, -40])
def test_a_damaged_signature_is_refused(rig: Rig, keys: Any, cut: int) -> None:
    signed(rig.remote, keys.signer("ana"), A, change=lambda signature: signature[:cut] or b"-")
    rig.refused()


def test_a_good_signature_behind_that_of_a_stranger_does_not_help(rig: Rig, keys: Any) -> None:
    ana, mallory = keys.signer("ana"), keys.signer("mallory")
    signed(rig.remote, lambda text: mallory(text) + ana(text), A)
    rig.refused()


def test_the_other_way_of_signing_is_refused(rig: Rig, mode: str, ssh: SshKeys, gpg: GpgKeys) -> None:
    other = gpg.signer("ana") if mode == "ssh" else ssh.signer("ana")
    signed(rig.remote, other, A)
    rig.refused()


def test_a_certificate_signature_is_refused(rig: Rig) -> None:
    signed(rig.remote, lambda text: b"-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----\n", A)
    rig.refused()


def test_a_signer_who_is_taken_off_the_list_signs_no_more(rig: Rig, keys: Any, ssh: SshKeys, gpg: GpgKeys) -> None:
    signed(rig.remote, keys.signer("ana"), A)
    follow = rig.source()
    follow.fetch()
    other = f"m {ssh.public('mallory')}\n".encode() if rig.mode == "ssh" else gpg.public("mallory")
    rig.signers.write_bytes(other)
    with pytest.raises(SourceUnverified):
        follow.fetch()


def test_a_history_that_is_cut_off_hides_nothing(rig: Rig, keys: Any) -> None:
    """A server may say that it knows no more than the newest commits; what lies below would then go unseen."""
    root = signed(rig.remote, None, A)
    tip = signed(rig.remote, keys.signer("ana"), {"a.yaml": "2"}, root)
    (rig.remote.folder / "shallow").write_text(f"{tip}\n")
    with pytest.raises(SourceError):
        rig.source().fetch()
    loose = source(rig.remote, rig.state, depth=1)
    loose.accept(loose.fetch())
    (rig.remote.folder / "shallow").unlink()
    with pytest.raises(SourceUnverified):
        rig.source().fetch()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"no key at all\n", b"x" * 2_000_000])
def test_without_usable_signers_nothing_is_taken(rig: Rig, keys: Any, content: bytes) -> None:
    signed(rig.remote, keys.signer("ana"), A)
    rig.signers.write_bytes(content)
    rig.refused()


def test_signers_that_cannot_be_read_are_told(rig: Rig, keys: Any) -> None:
    signed(rig.remote, keys.signer("ana"), A)
    rig.signers.unlink()
    with pytest.raises(SourceStale, match=r"check verify\.signers"):
        rig.source().fetch()


def test_the_number_of_commits_is_bounded(rig: Rig, keys: Any) -> None:
    tip: list[str] = []
    for number in range(4):
        tip = [signed(rig.remote, keys.signer("ana"), {"a.yaml": str(number)}, *tip)]
    with pytest.raises(SourceUnverified, match="more than 3 new commits"):
        rig.source(limits=SourceLimits(commits=3)).fetch()
    assert rig.source(limits=SourceLimits(commits=4)).fetch().files


# --- ssh ----------------------------------------------------------------------------------------------------


def date(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


def ssh_rig(tmp_path: Path, line: str) -> Rig:
    return Rig(tmp_path, "ssh", f"{line}\n".encode())


def test_a_signature_for_another_purpose_is_refused(tmp_path: Path, ssh: SshKeys) -> None:
    rig = ssh_rig(tmp_path, f"ana {ssh.public('ana')}")
    signed(rig.remote, ssh.signer("ana", "file"), A)
    rig.refused()


def test_a_signer_for_another_purpose_is_none(tmp_path: Path, ssh: SshKeys) -> None:
    rig = ssh_rig(tmp_path, f'ana namespaces="file" {ssh.public("ana")}')
    signed(rig.remote, ssh.signer("ana"), A)
    rig.refused()


@pytest.mark.parametrize("validity", ['valid-before="{0}"', "valid-before={0}", 'valid-after="{1}"'])
def test_a_key_out_of_its_time_is_refused(tmp_path: Path, ssh: SshKeys, validity: str) -> None:
    rig = ssh_rig(tmp_path, f"ana {validity.format(date(YESTERDAY), date(TOMORROW))} {ssh.public('ana')}")
    signed(rig.remote, ssh.signer("ana"), A)
    rig.refused()


def test_an_expired_key_cannot_sign_into_the_past(tmp_path: Path, ssh: SshKeys) -> None:
    """A commit names its own time; whoever holds an old key would choose one that suits it."""
    rig = ssh_rig(tmp_path, f'ana valid-before="{date(NOW + 60)}" {ssh.public("ana")}')
    signed(rig.remote, ssh.signer("ana"), A)
    assert rig.source().fetch().files
    with pytest.raises(SourceUnverified):
        rig.source(now=lambda: NOW + 61.0).fetch()


def test_a_key_in_its_time_is_taken(tmp_path: Path, ssh: SshKeys) -> None:
    time_of = f'valid-after="{date(YESTERDAY)}",valid-before="{date(TOMORROW)}"'
    rig = ssh_rig(tmp_path, f"ana {time_of} {ssh.public('ana')}")
    signed(rig.remote, ssh.signer("ana"), A)
    assert rig.source().fetch().files


# --- gpg ----------------------------------------------------------------------------------------------------


def gpg_rig(tmp_path: Path, gpg: GpgKeys) -> Rig:
    return Rig(tmp_path, "gpg", gpg.public("ana", "gone", "old"))


def test_a_revoked_key_is_refused(tmp_path: Path, gpg: GpgKeys) -> None:
    rig = gpg_rig(tmp_path, gpg)
    with pytest.raises(AssertionError, match=r"[Uu]nusable|revoked"):
        gpg.signer("gone")(b"x")
    fresh = GpgKeys()
    try:
        fresh.make("ana")
        sign = fresh.signer("ana")
        signed(rig.remote, sign, A)
        fresh.revoke("ana")
        rig.signers.write_bytes(fresh.public("ana"))
        rig.refused(match="was revoked")
    finally:
        fresh.close()


def test_a_key_that_has_expired_is_refused(tmp_path: Path, gpg: GpgKeys) -> None:
    rig = gpg_rig(tmp_path, gpg)
    signed(rig.remote, gpg.signer("old", "--faked-system-time", "20200601T000000!"), A)
    rig.refused(match="a key that has expired")


def test_a_signature_that_has_expired_is_refused(tmp_path: Path, gpg: GpgKeys) -> None:
    rig = gpg_rig(tmp_path, gpg)
    gpg.make("early", "--faked-system-time", "20200101T000000!")
    rig.signers.write_bytes(gpg.public("early"))
    past = ("--faked-system-time", "20200601T000000!", "--default-sig-expire", "1d")
    signed(rig.remote, gpg.signer("early", *past), A)
    rig.refused(match="a signature that has expired")


def test_a_weak_digest_is_refused(tmp_path: Path, gpg: GpgKeys) -> None:
    gpg.gpg("--quick-generate-key", "weak <weak@example.com>", "rsa2048", "sign", "never")
    rig = Rig(tmp_path, "gpg", gpg.public("weak"))
    signed(rig.remote, gpg.signer("weak", "--digest-algo", "SHA1", "--allow-weak-digest-algos"), A)
    rig.refused()
    signed(rig.remote, gpg.signer("weak"), A)
    assert rig.source().fetch().files


def test_the_keyring_of_the_user_is_not_looked_at(
    tmp_path: Path, gpg: GpgKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    rig = Rig(tmp_path, "gpg", gpg.public("ana"))
    signed(rig.remote, gpg.signer("mallory"), A)
    rig.refused(match="not among the signers")


def test_verification_starts_no_agent(tmp_path: Path, gpg: GpgKeys) -> None:
    rig = gpg_rig(tmp_path, gpg)
    signed(rig.remote, gpg.signer("ana"), A)
    assert rig.source().fetch().files
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    assert lines
    assert not [line for line in lines if str(rig.state).encode() in line]
