#!/bin/sh
# Plans what is checked out, for a pull request: leaves plan.json (what `apply.sh` takes), plan.md (the comment) and
# plan.log in $RECONCILER_OUT, and ends with the exit code of `reconciler plan`.
#
# Environment: RECONCILER_OUT (a folder), RECONCILER_NAME (which of several plans), RECONCILER_FLAGS (flags for plan and
# apply, apart by blanks, such as: --project prod/reconciler.yaml --state-dir .reconciler --allow-destroy Database/old),
# RECONCILER (the command). Secrets come as the project file says, and are never in an argument.
set -eu

out=${RECONCILER_OUT:-reconciler-plan}
name=${RECONCILER_NAME:-default}
command=${RECONCILER:-reconciler}

mkdir -p "$out"
rm -f "$out/plan.json" "$out/plan.md" "$out/plan.log"

code=0
# Flags are words by intention.
# shellcheck disable=SC2086
$command plan ${RECONCILER_FLAGS:-} --out "$out/plan.json" -o markdown >"$out/plan.body" 2>"$out/plan.log" || code=$?

{
  printf '## Plan for %s\n\n' "$name"
  cat "$out/plan.body"
  if [ "$code" -ne 0 ]; then
    # Indented, not fenced: no text in it can end an indented block.
    printf '\n**No plan to apply** (exit code %s):\n\n' "$code"
    head -c 8000 "$out/plan.log" | sed 's/^/    /'
  fi
} >"$out/plan.md"
rm -f "$out/plan.body"

cat "$out/plan.md"
cat "$out/plan.log" >&2
exit "$code"
