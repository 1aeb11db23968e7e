"""The project uses the field's standard terms: a list of terms that it does not use, each with its replacement.

All text that people read is searched: code with its names, messages and comments, schemas, manifests, deployment files
and documents. Names are split into words, so that `Desk`, `plan_desk` and `desk.py` are found as `desk`; a phrase is
found over line breaks too. The simulator's data is not searched: it has the texts of the API that it simulates.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SEARCHED = (
    "reconciler",
    "schemas",
    "manifests",
    "deploy",
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "pyproject.toml",
)
ENDINGS = (
    ".py",
    ".md",
    ".json",
    ".yaml",
    ".yml",
    ".html",
    ".sh",
    ".toml",
    ".tpl",
    ".service",
    "Makefile",
    "Jenkinsfile",
)
NOT_SEARCHED = (
    "reconciler/simulator/data/",
    "schemas/manifest.json",
    "schemas/README.md",
)  # the last two are generated


class Term(NamedTuple):
    """A term that is not used."""

    pattern: str  # of words in lower case; a space matches any white space
    instead: str


TERMS = (
    # --- metaphors and private names ---------------------------------------------------------------------------------
    Term("desks?", "PlanContext, or the view of a plan"),
    Term("doors?", "sub-resource"),
    Term("office", "AgentContext"),
    Term("company", "crosscluster"),
    Term("witness(es)?(?! disk)", "audit log; independent implementation"),
    Term("lanes?", "scheduling slots"),
    Term("heralds?", "notifier"),
    Term("mailbox(es)?", "queue"),
    Term("rosters?", "clusters of the agent"),
    Term("class letter", "Message"),
    Term("class neighbour", "ProjectCluster"),
    Term("class (around|here|home)", "ProjectClusters, OwnCluster"),
    Term("class (outside|means|surroundings)", "Runtime"),
    Term("class (pace|pauses?)", "Backoff"),
    Term("class (poison|odd|touch|taken|told|want|moment|unsound)", "a name for what it represents"),
    Term("class conduct|conduct of|settings[./]conduct", "agent policy"),
    Term("knock(s|ed|ing)?", "probe"),
    Term("def (meet|met|tell|tell me)", "probe; report, emit"),
    Term("glanc(e|es|ed|ing)", "reconciliation, tick"),
    Term("strictyaml", "yaml12"),
    Term("unborn|births?|born", "not bootstrapped; bootstrap"),
    Term("def cold|cold(?=[(:,.])", "frozen"),
    Term("poison(s|ed)?", "malformed value"),
    Term("oddit(y|ies)", "a name for what it represents"),
    Term("worsened", "a name for the check, such as stale_fields"),
    Term("regain(s|ed|ing)?", "reconnect"),
    Term("foreign hands?", "another user"),
    Term("makings", "prepared values"),
    Term("cry for help", "help"),
    # --- the agent ---------------------------------------------------------------------------------------------------
    Term(
        "(a|an|the|each|every|one|last|next|first|this|per|successful|many|same|two|second|another|agent|start|make|whole)"
        " pass(es)?",
        "reconciliation",
    ),
    Term("agent[./]passes", "agent/reconciliation"),
    Term("looks? at the source|look(s|ed) that failed|last look|two looks", "fetch"),
    # --- messages ----------------------------------------------------------------------------------------------------
    Term("told|tells|telling", "reported; reports; emit"),
    Term("tell (whether|each|every|everybody|people|who|what|me|it|of)", "return whether; report; emit"),
    Term("way back in", "access verified; reconnect"),
    Term("(come|comes|came|coming) in anew", "re-establish the connection"),
    Term("anew|afresh", "again"),
    Term("nobody is there( to answer)?", "no TTY to confirm on; pass --yes"),
    Term("(is|are) no members?", "is not a cluster member"),
    Term("asking another node", "failing over to another node"),
    Term("ours from now on", "adopted N existing resources"),
    Term("(is|are|not) ours(?! is)", "owned; unmanaged"),
    Term("do this\\? only", "Apply these changes? Only 'yes' is accepted:"),
    Term("taken for an answer", "accepted"),
    Term("what (was|is) under way", "in-flight operations"),
    Term("nothing new (was|is) begun|starting nothing new", "no new ones started"),
    Term("(is|are|was|were) not there|nothing is there|not there yet", "does not exist"),
    Term("what is (already )?there", "the existing object"),
    Term("takes? (no )?part in|took no part|take no part", "is (not) part of this run"),
    Term(
        "stands? (in|on) (several|more|other|another|two|both|it|its|a|the|each|this)", "spans; is a member of; is in"
    ),
    Term("stood (in|on)|standing in", "spans; is in"),
    Term("whether it is the same is not known", "cannot be compared (no recorded digest)"),
    Term("left alone|leaves? (it |them )?alone", "left unchanged"),
    Term("the next (run|pass|start) (looks|goes on)", "checked again on the next run; the next run continues"),
    Term("what nobody knows", "unknown action"),
    Term("can listen and answer", "disables TLS verification; traffic can be intercepted"),
    Term("believe(s|d)?|believing", "accept a cluster-state-id that went backwards"),
    Term("cuts? (us|this tool|it) off|cuts off", "may lock out the management account"),
    Term("befall(s|en)?|befell", "happen to; affect"),
    Term(
        "(hold|holds|held|holding) (it|them|each|a|the|every|what|everything|[a-z]+s) against",
        "compare with; validate against",
    ),
    Term("nobody|anybody|somebody", "no one else; another user; or name the actor"),
    Term("whoever", "the caller; the user who"),
    Term("to be had|is had|be had", "available"),
    Term("comes first of all", "runs first"),
    Term("come to rest|at rest yet|not at rest", "stable; settled"),
    Term("cannot do without", "required; built-in"),
    Term("by (the )?name of its own", "its own name"),
    Term("yes by name|a yes", "consent"),
    Term("lasting harm", "irreversible changes"),
    Term("mend(s|ed|ing)?", "fix; repair"),
    Term("plainly", "clearly"),
    Term("old news", "stale reads"),
    Term("whole story|play the", "full demonstration"),
    Term("reckon(s|ed)?", "assume; calculate"),
    Term("vouch(es)?", "sign; verify"),
    Term(r"(?<!there\s)(is|are) no (?!longer|more|less|other)[a-z]+", "is not a …"),
    Term("stands? beside", "cannot be combined with"),
    Term("whence|thereby|lest|henceforth|hitherto|hence", "plain English"),
    # --- installation ------------------------------------------------------------------------------------------------
    Term("pip install '?redis.reconciler", "deploy/ci/install.sh, or pip install '.[EXTRA]' in a checkout"),
)

GAP = r"(?: +|[ \"'`]*\n[\s#\"'`*]*)"  # between two words of a phrase: also a line break with quotes or a comment sign
PATTERN = re.compile(
    r"\b(?:" + "|".join(f"(?P<t{n}>{term.pattern.replace(' ', GAP)})" for n, term in enumerate(TERMS)) + ")(?![a-z0-9])"
)


def files() -> list[str]:
    """Return the files to search."""
    done = subprocess.run(["git", "ls-files", *SEARCHED], cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        name
        for name in done.stdout.splitlines()
        if name.endswith(ENDINGS) and not name.startswith(NOT_SEARCHED) and (ROOT / name).is_file()
    ]


def found(name: str, text: str) -> Iterator[str]:
    """Yield file, line, term and replacement for each term in *text*, whose names are split into words."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("_", " ").lower()
    for match in PATTERN.finditer(words):
        line = words.count("\n", 0, match.start()) + 1
        term = TERMS[int(str(match.lastgroup)[1:])]
        yield f"{name}:{line}: “{' '.join(match[0].split())}” → {term.instead}"


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("class Desk:", "desk"),
        ("from reconciler.plan.desk import x", "desk"),
        ("the_desk = 1", "desk"),
        ("# nothing is\n    # there to see", "nothing is # there"),
        ('"it stands in "\n    "several clusters"', 'stands in " "several'),
        ("X is no member of it", "is no member"),
    ],
)
def test_a_term_is_found_in_names_and_over_lines(text: str, term: str) -> None:
    (line,) = found("file.py", text)
    assert f"“{term}”" in line


@pytest.mark.parametrize(
    "text", ["there is no cluster", "it is no longer declared", "witness_disk", "password", "bypass"]
)
def test_other_words_are_not_found(text: str) -> None:
    assert list(found("file.py", text)) == []


@pytest.mark.parametrize("name", files())
def test_only_standard_terms_are_used(name: str) -> None:
    assert list(found(name, (ROOT / name).read_text(encoding="utf-8"))) == []
