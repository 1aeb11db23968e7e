"""The hostile corpus: what a project file, a repository or a server could say to make us read, run or believe too much.

Every case is refused. Texts are refused before anything runs; `COMMITS` are what a branch leads to after a good commit
was accepted. Signatures and lying servers have cases of their own in `test_signatures` and `test_wire`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import SourceEmpty, SourceError, SourceRewound, SourceStale, SourceUnsafe
from tests.source.rig import BLOB, LINK, NOW, NULL, SUBMODULE, TREE, Remote

ESC = "\x1b"

URLS = (
    "",
    "-",
    "--upload-pack=touch sprung",
    "-u./trap.sh",
    "-oProxyCommand=trap",
    "ext::sh -c touch% sprung",
    "ext::https://x",
    "fd::17/shop",
    "testgit::/srv/x",
    "transport::address",
    "http://git.example.com/shop.git",
    "ftp://git.example.com/shop.git",
    "ftps://git.example.com/shop.git",
    "git://git.example.com/shop.git",
    "rsync://git.example.com/shop.git",
    "git+ssh://git@git.example.com/shop.git",
    "HTTPS://git.example.com/shop.git",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https://",
    "https:///etc/passwd",
    "https://-oProxyCommand=x/y",
    "https://user:pass@git.example.com/shop.git",
    "https://user@git.example.com/shop.git",
    "https://git.example.com@evil.example/shop.git",
    "https://git.example.com/shop.git?service=x",
    "https://git.example.com/shop.git#x",
    "https://git.example.com/sh op.git",
    "https://git.example.com/%00shop.git",
    "https://git.example.com/%0ahost=evil.example",
    "https://git.example.com/\nhost=evil.example",
    "https://git.example.com/\r\nX: y",
    f"https://git.example.com/{ESC}[31m",
    "https://git.example.com/\u202etig",
    "https://git.example.com\\@evil.example/x",
    "https://git.example.com:99999999/x",
    "https://git.example.com/" + "a" * 3000,
    "https://[::1/x",
    "https://exämple.com/x",
    "ssh://-oProxyCommand=touch sprung/x",
    "ssh://git@-oProxyCommand=x/y",
    "ssh://-oProxyCommand=x@host.example/y",
    "ssh://git:pass@host.example/y",
    "ssh://git@host.example:-oX/y",
    "ssh://git@host.example",
    "ssh://git@host.example/$(touch sprung)",
    "ssh://git@host.example/`touch sprung`",
    "ssh://git@host.example/x;touch sprung",
    "ssh://git@host.example/x'y",
    "git@-oProxyCommand=x:y",
    "-oProxyCommand=x@host.example:y",
    "git@host.example:-u./trap.sh",
    "git@host.example:",
    "git@host.example:$(touch sprung)",
    "host.example:path",
    "git@host example:path",
    "git@host.example\n:path",
    "file://host.example/srv/x",
    "file:relative",
    "relative/path",
    "./relative",
    "../relative",
    "~/repository",
    "/srv/../etc",
    "file:///srv/../etc",
    "/srv/x\ny",
    "/srv/\0x",
    "C:\\repository",
    "\\\\host\\share",
    "::1:x",
)

REFS = (
    "-",
    "--upload-pack=touch sprung",
    "-x",
    "a b",
    "a\nb",
    "a\0b",
    f"a{ESC}b",
    "a..b",
    "a/../b",
    "/a",
    "a/",
    "a//b",
    "a.lock",
    "a.lock/b",
    ".a",
    "a/.b",
    "a.",
    "a@{1}",
    "@",
    "a~1",
    "a^",
    "a:b",
    "a:refs/heads/b",
    "+a",
    "a?b",
    "a*b",
    "a[b",
    "a\\b",
    "x" * 250,
)
ACCEPTED_REFS = ("+a",)  # git itself allows it, and it only ever stands behind refs/heads/

PATHS = (
    "/etc",
    "../outside",
    "a/../../b",
    "a/..",
    "..",
    "a//b",
    "a/./b",
    ".git",
    "a/.GIT/b",
    "a\nb",
    "a\0b",
    f"a{ESC}",
    "a\\..\\b",
)


class Case(NamedTuple):
    """What a branch leads to, and how it is refused."""

    name: str
    make: Callable[[Remote, str, Path], object]  # remote, the accepted commit, the canary's file
    error: type[SourceError] | tuple[type[SourceError], ...]
    path: str = ""


GOOD = "kind: good\n"
COMMITS: list[Case] = []


def case(
    name: str, error: type[SourceError] | tuple[type[SourceError], ...] = SourceUnsafe, path: str = ""
) -> Callable[[Callable[[Remote, str, Path], object]], Callable[[Remote, str, Path], object]]:
    def keep(make: Callable[[Remote, str, Path], object]) -> Callable[[Remote, str, Path], object]:
        COMMITS.append(Case(name, make, error, path))
        return make

    return keep


def entries(name: str, *given: tuple[bytes, bytes, bytes | str | None], error: object = SourceUnsafe) -> None:
    """Add a case: a tree with these entries beside a good file. Text is an id, bytes are a blob; None is a folder."""

    def make(remote: Remote, good: str, canary: Path) -> None:
        inner = remote.folder_of({"b.yaml": GOOD})
        found = [
            (mode, entry, inner if data is None else data if isinstance(data, str) else remote.blob(data))
            for mode, entry, data in given
        ]
        remote.point(remote.commit(remote.tree((BLOB, b"a.yaml", remote.blob(GOOD)), *found), good))

    COMMITS.append(Case(name, make, error))  # type: ignore[arg-type]


# --- links and submodules --------------------------------------------------------------------------------------------


def links() -> Iterator[tuple[str, bytes, bytes]]:
    yield "to a file", b"link.yaml", b"{canary}"
    yield "to a folder", b"base", b"{folder}"
    yield "without an ending", b"link", b"{canary}"
    yield "to /etc/passwd", b"passwd.yaml", b"/etc/passwd"
    yield "to the environment", b"env.yaml", b"/proc/self/environ"
    yield "upwards", b"up.yaml", b"../../../../../../../../etc/passwd"
    yield "to itself", b"self.yaml", b"self.yaml"
    yield "to nothing", b"gone.yaml", b"nowhere"
    yield "to a good file", b"b.yaml", b"a.yaml"
    yield "with a long target", b"long.yaml", b"x/" * 50_000
    yield "with an empty target", b"empty.yaml", b""
    yield "to the mirror", b"config.yaml", b"../mirror.git/config"
    yield "with another ending", b"notes.md", b"{canary}"
    yield "called as a manifest folder", b"prod.yml", b"{folder}"


def link_cases() -> None:
    for words, name, target in links():

        def make(remote: Remote, good: str, canary: Path, name: bytes = name, target: bytes = target) -> None:
            there = target.replace(b"{canary}", os.fsencode(canary)).replace(b"{folder}", os.fsencode(canary.parent))
            tree = remote.tree((BLOB, b"a.yaml", remote.blob(GOOD)), (LINK, name, remote.blob(there)))
            remote.point(remote.commit(tree, good))

        COMMITS.append(Case(f"a link {words}", make, SourceUnsafe))


link_cases()


@case("a link deep in a folder")
def _(remote: Remote, good: str, canary: Path) -> None:
    inner = remote.tree((LINK, b"x.yaml", remote.blob(str(canary))), (BLOB, b"a.yaml", remote.blob(GOOD)))
    remote.point(remote.commit(remote.tree((TREE, b"base", remote.tree((TREE, b"deep", inner)))), good))


@case("a link where the folder of the source should be", (SourceUnsafe, SourceEmpty), path="prod")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.tree((LINK, b"prod", remote.blob(str(canary.parent)))), good))


@case("a link above the folder of the source", (SourceUnsafe, SourceEmpty), path="link/prod")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.tree((LINK, b"link", remote.blob(str(canary.parent)))), good))


@case("a file where the folder of the source should be", path="prod")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"prod": GOOD}, good)


entries("a submodule", (SUBMODULE, b"vendor", "1" * 40))
entries("a submodule that is called as a manifest", (SUBMODULE, b"b.yaml", "1" * 40))
entries(
    "a submodule and its url", (SUBMODULE, b"x", "1" * 40), (BLOB, b".gitmodules", b'[submodule "x"]\n\turl = /x\n')
)


@case("a submodule where the folder of the source should be", (SourceUnsafe, SourceEmpty), path="prod")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.tree((SUBMODULE, b"prod", "1" * 40)), good))


def modules(name: str, text: str) -> None:
    entries(f".gitmodules {name}", (BLOB, b".gitmodules", text.encode()), (SUBMODULE, b"x", "1" * 40))


modules("with an option for a url", '[submodule "x"]\n\tpath = x\n\turl = -u./trap.sh\n')
modules("with an option for a path", '[submodule "x"]\n\tpath = --upload-pack=x\n\turl = /x\n')
modules("that leads upwards", '[submodule "../../x"]\n\tpath = x\n\turl = /x\n')
modules("that runs on update", '[submodule "x"]\n\tpath = x\n\turl = /x\n\tupdate = !touch sprung\n')
modules("with a line break in its url", '[submodule "x"]\n\tpath = x\n\turl = "https://a\\nhost=b"\n')
entries("a link for .gitmodules", (LINK, b".gitmodules", b"/etc/passwd"))
entries("a big file for .gitattributes", (BLOB, b".gitattributes", b"x" * 5000 + b"\n"), error=SourceUnsafe)


# --- names -----------------------------------------------------------------------------------------------------------

entries("a folder ..", (TREE, b"..", None))
entries("a file ..", (BLOB, b"..", b"x"))
entries("a folder .", (TREE, b".", None))
entries("an empty name", (BLOB, b"", b"x"), error=SourceError)
entries("an absolute name", (BLOB, b"/etc/cron.d/x.yaml", b"x"))
entries("a name with a way upwards", (BLOB, b"../../x.yaml", b"x"))
entries("a name with a folder in it", (BLOB, b"base/x.yaml", b"x"))
entries("a folder .git", (TREE, b".git", None))
entries("a file .git", (BLOB, b".git", b"gitdir: /elsewhere"))
entries("a folder .GIT", (TREE, b".GIT", None))
entries("a folder .gIt in another", (TREE, b"base", None), (TREE, b".gIt", None))
entries("a folder git~1", (TREE, b"git~1", None))
entries("a folder .git with a dot", (TREE, b".git.", None))
entries("a folder .git with an invisible letter", (TREE, ".g\u200cit".encode(), None))
entries("a folder .git with a stream", (TREE, b".git::$INDEX_ALLOCATION", None))
entries("a line break in a name", (BLOB, b"a\nb.yaml", b"x"))
entries("a carriage return in a name", (BLOB, b"a\rb.yaml", b"x"))
entries("an escape in a name", (BLOB, b"a\x1b[31mb.yaml", b"x"))
entries("a delete in a name", (BLOB, b"a\x7fb.yaml", b"x"))
entries("a name that turns the reading direction", (BLOB, "a\u202elmay.yaml".encode(), b"x"))
entries("a backslash in a name", (BLOB, b"base\\..\\x.yaml", b"x"))
entries("a name that is not UTF-8", (BLOB, b"a\xff.yaml", b"x"))
entries("a very long name", (BLOB, b"x" * 4000 + b".yaml", b"x"))


# --- trees -----------------------------------------------------------------------------------------------------------

entries("one name twice", (BLOB, b"b.yaml", b"1"), (BLOB, b"b.yaml", b"2"))
entries("a file and a folder of one name", (BLOB, b"b", b"1"), (TREE, b"b", None))
entries("a file in place of a folder", (TREE, b"b", b"no tree"), error=SourceError)
entries("a mode 020666", (b"20666", b"b.yaml", b"x"))
entries("a mode 0", (b"0", b"b.yaml", b"x"))
entries("a mode of letters", (b"10x644", b"b.yaml", b"x"), error=SourceError)
entries("a mode without end", (b"1" * 60, b"b.yaml", b"x"), error=SourceError)
entries("an object that is nowhere", (BLOB, b"b.yaml", "2" * 40), error=SourceError)
entries("an object without number", (BLOB, b"b.yaml", NULL), error=SourceError)


@case("a tree out of order")
def _(remote: Remote, good: str, canary: Path) -> None:
    blob = remote.blob(GOOD)
    remote.point(remote.commit(remote.tree((BLOB, b"b.yaml", blob), (BLOB, b"a.yaml", blob), sort=False), good))


@case("a tree that is cut off", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.put("tree", b"100644 a.yaml\0" + b"x" * 10), good))


@case("a tree of noise", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.put("tree", b"\xff" * 1000), good))


@case("a folder for a file", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    inner = remote.folder_of({"x.yaml": GOOD})
    remote.point(remote.commit(remote.tree((BLOB, b"a.yaml", inner)), good))


@case("a tree that holds its own commit", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.tree((TREE, b"a", good)), good))


# --- too much --------------------------------------------------------------------------------------------------------


@case("folders 33 deep")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"/".join(["x"] * 33) + "/a.yaml": GOOD}, good)


@case("folders 3,000 deep")
def _(remote: Remote, good: str, canary: Path) -> None:
    tree = remote.folder_of({"a.yaml": GOOD})
    for _ in range(3000):
        tree = remote.tree((TREE, b"x", tree))
    remote.point(remote.commit(tree, good))


@case("a tree that expands to 10 ** 12 files")
def _(remote: Remote, good: str, canary: Path) -> None:
    tree = remote.folder_of({f"{number}.yaml": GOOD for number in range(10)})
    for _ in range(11):
        tree = remote.tree(*((TREE, str(number).encode(), tree) for number in range(10)))
    remote.point(remote.commit(tree, good))


@case("5,001 manifests")
def _(remote: Remote, good: str, canary: Path) -> None:
    blob = remote.blob(GOOD)
    tree = remote.tree(*((BLOB, b"%05d.yaml" % number, blob) for number in range(5001)))
    remote.point(remote.commit(tree, good))


@case("manifests of 17 MiB together")
def _(remote: Remote, good: str, canary: Path) -> None:
    blob = remote.blob(b"#" * 1024**2)
    remote.point(remote.commit(remote.tree(*((BLOB, b"%02d.yaml" % number, blob) for number in range(17))), good))


@case("a manifest of 2 MiB")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"a.yaml": b"#" * 2 * 1024**2}, good)


@case("a manifest of 40 MiB in 40 KiB")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"a.yaml": bytes(40 * 1024**2)}, good)


@case("a file that is no manifest and over the limit of the fetch")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"a.yaml": GOOD, "movie.mp4": os.urandom(9 * 1024**2)}, good)


@case("a pointer to git-lfs")
def _(remote: Remote, good: str, canary: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
    remote.add({".gitattributes": "*.yaml filter=lfs diff=lfs merge=lfs -text\n", "a.yaml": pointer}, good)


# --- empty -----------------------------------------------------------------------------------------------------------


@case("an empty tree", SourceEmpty)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.tree(), good))


@case("no manifest left", SourceEmpty)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"README.md": "moved", "a.yaml.bak": GOOD, "A.YAML": GOOD}, good)


@case("only hidden manifests", SourceEmpty)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({".a.yaml": GOOD, ".github/workflows/ci.yaml": GOOD}, good)


@case("only a project file", SourceEmpty)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"reconciler.yaml": "clusters: []\n"}, good)


@case("the folder of the source gone", SourceEmpty, path="prod")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"production/a.yaml": GOOD}, good)


@case("an empty folder of the source", SourceEmpty, path="prod")
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.tree((TREE, b"prod", remote.tree())), good))


# --- history ---------------------------------------------------------------------------------------------------------


@case("the commit before", SourceRewound)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.add({"a.yaml": "kind: old\n"}))


@case("a history without common commits", SourceRewound)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"a.yaml": "kind: unrelated\n"}, message="root")


@case("a sibling of the accepted commit", SourceRewound)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"a.yaml": "kind: sibling\n"}, remote.add({"a.yaml": "kind: old\n"}))


@case("the accepted commit, written anew", SourceRewound)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.add({"a.yaml": GOOD}, message="good, amended")


@case("a graft that makes another history look right", SourceRewound)
def _(remote: Remote, good: str, canary: Path) -> None:
    tip = remote.add({"a.yaml": "kind: grafted\n"}, message="root")
    (remote.folder / "info").mkdir(exist_ok=True)
    (remote.folder / "info/grafts").write_text(f"{tip} {good}\n")


@case("a replacement that makes another history look right", SourceRewound)
def _(remote: Remote, good: str, canary: Path) -> None:
    tip = remote.add({"a.yaml": "kind: replaced\n"}, message="root")
    remote.point(remote.commit(remote.folder_of({"a.yaml": "kind: x\n"}), good), f"refs/replace/{tip}")


@case("no branch any more", SourceStale)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.remove("refs/heads/main")


@case("a branch that leads to a file", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.blob(GOOD))


@case("a branch that leads to a tree", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.folder_of({"a.yaml": GOOD}))


@case("a branch that leads to a tag of a file", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    blob = remote.blob(GOOD)
    remote.point(remote.put("tag", f"object {blob}\ntype blob\ntag x\ntagger A <a@b> 1 +0000\n\nx\n".encode()))


@case("a branch that leads to nothing", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point("3" * 40)


@case("a branch that is a link to another file", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    (remote.folder / "refs/heads/main").write_text(f"ref: ../../../../{canary}\n")


@case("a parent that is nowhere", SourceError)
def _(remote: Remote, good: str, canary: Path) -> None:
    remote.point(remote.commit(remote.folder_of({"a.yaml": GOOD}), good, "4" * 40))


# --- commits that git would not write --------------------------------------------------------------------------------


def raw(name: str, *lines: str) -> None:
    """Add a case: a commit with exactly these lines, where {tree} is a good tree and {good} the accepted commit."""

    def make(remote: Remote, good: str, canary: Path) -> None:
        text = "\n".join((*lines, "", "x", "")) if lines else ""
        tree = remote.folder_of({"a.yaml": GOOD})
        remote.point(remote.put("commit", text.format(tree=tree, good=good).encode()))

    COMMITS.append(Case(name, make, SourceError))


WHO = f"A <a@b> {NOW} +0000"
TREE_LINE, PARENT, AUTHOR, COMMITTER = "tree {tree}", "parent {good}", f"author {WHO}", f"committer {WHO}"

raw("a commit without a tree", PARENT, AUTHOR, COMMITTER)
raw("a commit without an author", TREE_LINE, PARENT, COMMITTER)
raw("a commit with two authors", TREE_LINE, PARENT, AUTHOR, AUTHOR, COMMITTER)
raw("a commit with no committer", TREE_LINE, PARENT, AUTHOR)
raw("a commit with a broken address", TREE_LINE, PARENT, "author A a@b> 1 +0000", COMMITTER)
raw("a commit without a time", TREE_LINE, PARENT, "author A <a@b>", COMMITTER)
raw("a commit with an endless time", TREE_LINE, PARENT, f"author A <a@b> {'9' * 30} +0000", COMMITTER)
raw("a commit with a NUL in its head", TREE_LINE, PARENT, "author A\0 <a@b> 1 +0000", COMMITTER)
raw("a commit whose tree is no number", f"tree {'z' * 40}", PARENT, AUTHOR, COMMITTER)
raw("a commit whose tree is a commit", "tree {good}", PARENT, AUTHOR, COMMITTER)
raw("a commit whose parent is a tree", TREE_LINE, "parent {tree}", AUTHOR, COMMITTER)
raw("an empty commit object")
