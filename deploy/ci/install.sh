#!/bin/sh
# Installs this checkout, with the packages in its lock files, into a new environment: install.sh FOLDER.
# Creates FOLDER/bin/reconciler. Needs Python 3.11 or newer with venv, and a package index that pip reaches.
set -eu

folder=${1:?name a folder}
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
build=$folder.build

"${PYTHON:-python3}" -m venv "$build"
"${PYTHON:-python3}" -m venv --without-pip "$folder"
pip="$build/bin/python -m pip --quiet --disable-pip-version-check"
# shellcheck disable=SC2086
{
  $pip install --require-hashes --only-binary :all: -r "$root/requirements-build.lock"
  $pip --python "$folder/bin/python" install --require-hashes --only-binary :all: -r "$root/requirements.lock"
  $pip wheel --no-index --no-deps --no-build-isolation --wheel-dir "$build/wheel" "$root"
  $pip --python "$folder/bin/python" install --no-index --no-deps "$build"/wheel/*.whl
}
rm -rf "$build"
