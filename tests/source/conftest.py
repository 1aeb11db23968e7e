"""Which of these tests need what not every machine has."""

from __future__ import annotations

import os
import shutil

NEEDED = {"test_signatures.py": ("gpg", "ssh-keygen"), "test_wire.py": ("ssh", "sshd")}

_path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_promised = os.environ.get("RECONCILER_NEEDS", "").split()
collect_ignore = [
    name
    for name, programs in NEEDED.items()
    if any(shutil.which(program, path=_path) is None and program not in _promised for program in programs)
]
