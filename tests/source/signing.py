"""Commits signed by hand, with ssh and gpg keys made for the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.source.rig import NOW, Remote, run, tool

Sign = Callable[[bytes], bytes]


class SshKeys:
    """Keys by name in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder

    def path(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            run(tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path))
        return path

    def public(self, name: str) -> str:
        return self.path(name).with_suffix(".pub").read_text().strip()

    def signer(self, name: str, namespace: str = "git") -> Sign:
        words = (tool("ssh-keygen"), "-q", "-Y", "sign", "-n", namespace, "-f", str(self.path(name)))
        return lambda text: run(*words, stdin=text)


class GpgKeys:
    """A keyring with an agent of its own; its folder is short enough for a socket."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="gpg-"))
        self.home.chmod(0o700)

    def close(self) -> None:
        run(tool("gpgconf"), "--homedir", str(self.home), "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)

    def gpg(self, *words: str, stdin: bytes = b"") -> bytes:
        base = ("--homedir", str(self.home), "--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode", "loopback")
        return run(tool("gpg"), *base, "--passphrase", "", *words, stdin=stdin)

    def make(self, name: str, *words: str, expires: str = "never") -> None:
        self.gpg(*words, "--quick-generate-key", f"{name} <{name}@example.com>", "ed25519", "sign", expires)

    def public(self, *names: str) -> bytes:
        return self.gpg("--armor", "--export", *(f"{name}@example.com" for name in names))

    def signer(self, name: str, *words: str) -> Sign:
        given = (*words, "--armor", "--detach-sign", "--local-user", f"{name}@example.com")
        return lambda text: self.gpg(*given, stdin=text)

    def revoke(self, name: str) -> None:
        listed = self.gpg("--with-colons", "--list-keys", f"{name}@example.com").decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        path = self.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
        path.write_text(path.read_text().replace(":-----BEGIN", "-----BEGIN"))
        self.gpg("--import", str(path))


def header(signature: bytes, name: str = "gpgsig") -> str:
    """Return a signature as the header of a commit."""
    return f"{name} " + "\n ".join(signature.decode("ascii").rstrip("\n").split("\n")) + "\n"


def signed(
    remote: Remote,
    sign: Sign | None,
    files: Mapping[str, str],
    *parents: str,
    message: str = "change",
    headers: str = "",
    change: Callable[[bytes], bytes] = lambda signature: signature,
) -> str:
    """Write a commit with a signature over what it says, and let the branch lead to it."""
    tree = remote.folder_of(files)
    if sign is not None:
        text = remote.commit_text(tree, *parents, message=message, headers=headers)
        headers += header(change(sign(text)))
    return remote.point(remote.commit(tree, *parents, message=message, headers=headers))


YESTERDAY, TOMORROW = NOW - 86_400, NOW + 86_400
