#!/bin/sh
# Checks for drift, on a schedule: writes drift.md to $RECONCILER_OUT, and exits with the code of `reconciler drift`:
# 0 without drift, 2 with drift, any other code if the check failed. The environment is that of plan.sh, but
# RECONCILER_FLAGS are flags of `drift`.
set -eu

out=${RECONCILER_OUT:-reconciler-drift}
name=${RECONCILER_NAME:-default}
command=${RECONCILER:-reconciler}

mkdir -p "$out"
code=0
# shellcheck disable=SC2086
$command drift ${RECONCILER_FLAGS:-} >"$out/drift.txt" 2>"$out/drift.log" || code=$?

{
  case $code in
    0) printf '## No drift in %s\n' "$name" ;;
    2) printf '## Drift in %s\n\n' "$name" ;;
    *) printf '## Drift check of %s failed (exit code %s)\n\n' "$name" "$code" ;;
  esac
  if [ "$code" -ne 0 ]; then
    cat "$out/drift.txt" "$out/drift.log" | head -c 50000 | sed 's/^/    /'
  fi
} >"$out/drift.md"

cat "$out/drift.md"
exit "$code"
