#!/bin/sh
# One CI job on any forge: job.sh plan|apply|drift. Runs the script of that name and reports to the forge:
#   plan   updates its comment on the pull request (RECONCILER_COMMENT=no: no comment)
#   apply  fetches the plan that was approved with the pull request merged as this commit, and applies exactly that plan
#   drift  opens, updates or closes an issue (RECONCILER_ISSUE=no: no issue)
# Exits with the exit code of the command. The environment is that of plan.sh and of forge.py.
set -eu

job=${1:?plan, apply or drift}
here=$(dirname -- "$0")
name=${RECONCILER_NAME:-default}
out=${RECONCILER_OUT:-reconciler-$job}
code=0

# The reconciler does not need the token of the forge.
alone() { (
  unset FORGE_TOKEN
  RECONCILER_OUT=$out
  export RECONCILER_OUT
  "$@"
); }
forge() { python3 -I "$here/forge.py" "$@"; }
summary() { [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$1" >>"$GITHUB_STEP_SUMMARY"; }

case $job in
  plan)
    alone "$here/plan.sh" || code=$?
    summary "$out/plan.md"
    [ "${RECONCILER_COMMENT:-yes}" = no ] || forge comment "$name" "$out/plan.md"
    ;;
  apply)
    rm -f "$out/approved.json"
    forge fetch "$name" "$out/approved.json"
    alone "$here/apply.sh" "$out/approved.json" || code=$?
    ;;
  drift)
    alone "$here/drift.sh" || code=$?
    summary "$out/drift.md"
    if [ "${RECONCILER_ISSUE:-yes}" != no ]; then
      case $code in
        0) forge close "$name" ;;
        2) forge issue "$name" "$out/drift.md" ;;
      esac
    fi
    ;;
  *)
    echo "job: unknown job $job; use plan, apply or drift" >&2
    exit 3
    ;;
esac
exit "$code"
