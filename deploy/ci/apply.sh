#!/bin/sh
# Applies exactly the approved plan: apply.sh APPROVED_PLAN. Plans again first, from this checkout, and applies the result
# only if it has the digest of the approved plan. So a stale plan is refused (exit code 5), and a plan file that replaced
# the approved one cannot do anything that was not approved. The environment is that of plan.sh, and RECONCILER_DIGEST: a
# digest that was approved elsewhere, such as that in the comment (at least 12 digits); default: that of APPROVED_PLAN.
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

digest=${RECONCILER_DIGEST:-$(sed -n 's/^ "digest": "\([0-9a-f]*\)".*/\1/p' "$approved")}
if [ -z "$digest" ]; then
  echo "apply: $approved has no digest: it is not a plan (plan again, and approve the new plan)" >&2
  exit 5
fi

# shellcheck disable=SC2086
$command plan ${RECONCILER_FLAGS:-} --out "$now" -o markdown >"$out/now.md"
if ! grep -q "^ \"digest\": \"$digest" "$now"; then
  cat "$out/now.md"
  echo "apply: stale: planning again gave a different plan, shown above; nothing was written" >&2
  echo "       (manifests, cluster or flags changed meanwhile: plan again, and approve the new plan)" >&2
  exit 5
fi

# shellcheck disable=SC2086
exec $command apply ${RECONCILER_FLAGS:-} "$now" --digest "$digest" --yes
