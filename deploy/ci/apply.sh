#!/bin/sh
# Applies the very plan that was approved: apply.sh APPROVED_PLAN. Plans again first and goes on only if that gives the
# same plan, byte for byte. So a plan that is stale is refused (exit code 5), and a plan file that somebody else put in
# the place of the approved one can do nothing that was not approved. The environment is that of plan.sh.
set -eu

approved=${1:?name the file of the approved plan}
out=${RECONCILER_OUT:-reconciler-plan}
command=${RECONCILER:-reconciler}
now=$out/now.json

if [ ! -f "$approved" ]; then
  echo "apply: $approved is missing: there is no approved plan (plan again, and have that approved)" >&2
  exit 5
fi
mkdir -p "$out"
rm -f "$now"

# shellcheck disable=SC2086
$command plan ${RECONCILER_FLAGS:-} --out "$now" -o markdown >"$out/now.md"
if ! cmp -s "$approved" "$now"; then
  cat "$out/now.md"
  echo "apply: stale: the plan that would be made now, above, is not the one that was approved; nothing was written" >&2
  echo "       (manifests, cluster or flags moved in between: plan again, and have that approved)" >&2
  exit 5
fi

# shellcheck disable=SC2086
exec $command apply ${RECONCILER_FLAGS:-} "$now" --yes
