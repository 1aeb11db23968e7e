"""Builds the image from nothing but Debian's packages, and runs it as a container engine would with a read-only root.

There is no engine here: buildah builds, and namespaces, bind mounts and setpriv make the constraints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SUITE = "trixie"
UID = 65532

# The root is read-only, state is the only writable place, no capability is left, and the shells are masked if asked to.
_ENTER = """
set -eu
root=$1 state=$2 project=$3 uid=$4 directory=$5 masked=$6
shift 6
[ -e "$root/etc/hosts" ] || : > "$root/etc/hosts"
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$state" "$root/var/lib/reconciler"
mount --bind "$project" "$root/etc/reconciler"
mount -o remount,bind,ro "$root/etc/reconciler"
mount --bind /etc/hosts "$root/etc/hosts"
mount -o remount,bind,ro "$root/etc/hosts"
mount -t proc -o ro proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for name in null random urandom; do
  : > "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
mount -o remount,bind,ro "$root/dev"
for shell in $masked; do mount --bind /dev/null "$root/usr/bin/$shell"; done
exec /usr/sbin/chroot "$root" /usr/bin/setpriv --reuid "$uid" --regid "$uid" --clear-groups \
  --no-new-privs --bounding-set=-all --inh-caps=-all -- /usr/bin/env --chdir="$directory" "$@"
"""


def call(*words: str | Path, **options: Any) -> str:
    """Run a command to its end and return what it printed; fail with what it said."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, timeout=600, **options
    )
    assert done.returncode == 0, f"{words[0]}: exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@dataclass
class Done:
    """What a command in the container left."""

    code: int
    out: str
    err: str


@dataclass
class Image:
    """A built image, mounted; `config` is what an engine would read."""

    folder: Path
    root: Path
    config: dict[str, Any]
    masked: str = "bash dash sh"  # programs that are not there

    def environment(self) -> dict[str, str]:
        """Return the environment that the image gives."""
        return dict(pair.split("=", 1) for pair in self.config["Env"])

    def run(self, project: Path, state: Path, *words: str, uid: int = UID, **env: str) -> Done:
        """Run `docker run --read-only … image WORDS`."""
        return self.execute(project, state, *self.config["Entrypoint"], *words, uid=uid, **env)

    def execute(self, project: Path, state: Path, *command: str, uid: int = UID, **env: str) -> Done:
        """Run another command than the entry point."""
        process = self.start(project, state, *command, uid=uid, **env)
        out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)

    def start(self, project: Path, state: Path, *command: str, uid: int = UID, **env: str) -> subprocess.Popen[str]:
        """Start a command as process 1 of its own; ending what is returned ends it."""
        apart = ("/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
        places = (str(self.root), str(state), str(project), str(uid), self.config["WorkingDir"], self.masked)
        return subprocess.Popen(
            [*apart, "/bin/sh", "-c", _ENTER, "enter", *places, *command],
            env={**self.environment(), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def first_process(started: subprocess.Popen[str]) -> int:
    """Return the process that an engine would send signals to."""
    return int(Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()[0])


def build(folder: Path) -> Image:
    """Make a base with debootstrap, build the Dockerfile on it, and mount what came out."""
    store = ("buildah", "--root", folder / "store", "--runroot", folder / "run")
    base = folder / "base"
    call("debootstrap", "--variant=minbase", SUITE, base)
    working = call(*store, "from", "scratch").strip()
    call(*store, "add", "--quiet", working, base, "/")
    call(*store, "commit", "--quiet", "--rm", working, "localhost/base")
    call("rm", "-rf", base)
    mounts = [word for volume in _package_index(folder / "pip") for word in ("--volume", volume)]
    call(
        *store, "build", "--isolation", "chroot", "--format", "docker", "--build-arg", "BASE=localhost/base",
        "--build-arg", "VERSION=1.2.3", "--build-arg", "REVISION=abc", *mounts,
        "--file", ROOT / "deploy" / "Dockerfile", "--tag", "localhost/reconciler", ROOT,
    )  # fmt: skip
    container = call(*store, "from", "localhost/reconciler").strip()
    mounted = Path(call(*store, "mount", container).strip())
    inspected = json.loads(call(*store, "inspect", "--type", "image", "localhost/reconciler"))
    return Image(folder, mounted, inspected["Docker"]["config"])


def remove(folder: Path) -> None:
    """Unmount and remove everything that `build` made."""
    store = ("buildah", "--root", folder / "store", "--runroot", folder / "run")
    call(*store, "rm", "--all")
    call(*store, "rmi", "--all", "--force")


def _package_index(folder: Path) -> list[str]:
    """Return volumes that let pip in the build reach the packages that pip reaches here, however that is configured."""
    folder.mkdir()
    lines = ["[global]"]
    for line in call(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        value = value.strip("'")
        if name.rpartition(".")[2] == "cert" and Path(value).is_file():
            (folder / "ca.pem").write_bytes(Path(value).read_bytes())
            value = "/run/pip/ca.pem"
        if name.rpartition(".")[2] in ("cert", "index-url", "extra-index-url", "proxy", "trusted-host", "timeout"):
            lines.append(f"{name.rpartition('.')[2]} = {value}")
    (folder / "pip.conf").write_text("\n".join(dict.fromkeys(lines)) + "\n")
    os.chmod(folder, 0o755)
    return [f"{folder / 'pip.conf'}:/etc/pip.conf:ro", f"{folder}:/run/pip:ro"]
