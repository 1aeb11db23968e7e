#!/bin/sh
# Applies exactly the approved plan: apply.sh APPROVED_PLAN. Plans again first and continues only if the result is
# byte-identical. So a stale plan is refused (exit code 5), and a plan file that replaced the approved one cannot do
# anything that was not approved. The environment is that of plan.sh.
set -eu

approved=${1:?name the file of the approved plan}
out=${RECONCILER_OUT:-reconciler-plan}
command=${RECONCILER:-reconciler}
now=$out/now.json

if [ ! -f "$approved" ]; then
  echo "apply: $approved is missing: there is no approved plan (plan again, and approve the new plan)" >&2
  exit 5
fi
mkdir -p "$out"
rm -f "$now"

# shellcheck disable=SC2086
$command plan ${RECONCILER_FLAGS:-} --out "$now" -o markdown >"$out/now.md"
if ! cmp -s "$approved" "$now"; then
  cat "$out/now.md"
  echo "apply: stale: planning again gave a different plan, shown above; nothing was written" >&2
  echo "       (manifests, cluster or flags changed meanwhile: plan again, and approve the new plan)" >&2
  exit 5
fi

# shellcheck disable=SC2086
exec $command apply ${RECONCILER_FLAGS:-} "$now" --yes
