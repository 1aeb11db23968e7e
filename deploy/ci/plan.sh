#!/bin/sh
# Plans the checkout of a pull request: writes plan.json (input of `apply.sh`), plan.md (the comment) and plan.log to
# $RECONCILER_OUT, and exits with the code of `reconciler plan`.
#
# Environment: RECONCILER_OUT (a folder), RECONCILER_NAME (name of the plan), RECONCILER_FLAGS (flags for plan and
# apply, separated by spaces: --project prod/reconciler.yaml --state-dir .reconciler --allow-destroy Database/old),
# RECONCILER (the command). Secrets come from where the project file refers to, and are never arguments.
set -eu

out=${RECONCILER_OUT:-reconciler-plan}
name=${RECONCILER_NAME:-default}
command=${RECONCILER:-reconciler}

mkdir -p "$out"
rm -f "$out/plan.json" "$out/plan.md" "$out/plan.log"

code=0
# Word splitting of the flags is intended.
# shellcheck disable=SC2086
$command plan ${RECONCILER_FLAGS:-} --out "$out/plan.json" -o markdown >"$out/plan.body" 2>"$out/plan.log" || code=$?

{
  printf '## Plan for %s\n\n' "$name"
  cat "$out/plan.body"
  if [ "$code" -ne 0 ]; then
    # Indented, not fenced: no text can end an indented block.
    printf '\n**No plan to apply** (exit code %s):\n\n' "$code"
    head -c 8000 "$out/plan.log" | sed 's/^/    /'
  fi
} >"$out/plan.md"
rm -f "$out/plan.body"

cat "$out/plan.md"
cat "$out/plan.log" >&2
exit "$code"
