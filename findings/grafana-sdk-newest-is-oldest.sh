#!/bin/sh
# grafana-foundation-sdk on PyPI: the "newest" version is the one for the oldest Grafana.
#
# The package publishes one version per Grafana release, with a build time as the epoch of the version
# (`1769699379!11.6.0`). Within a batch the epochs rise as Grafana's versions fall. pip therefore
# prefers Grafana 10.1 to 11.6, and an upper bound such as `<12` finds nothing, because the epoch
# counts before the rest of a version. A dashboard is then checked against the types of a Grafana that
# is years old.
#
# Output seen with Python 3.11 and pip's resolver:
#   of 1769699379!11.6.0 and 1769699998!10.1.0, pip takes 1769699998!10.1.0
#   grafana-foundation-sdk<12: no version
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/pip --disable-pip-version-check"
$pip download --quiet --no-deps --dest "$folder/wheels" "grafana-foundation-sdk==1769699379!11.6.0"
$pip download --quiet --no-deps --dest "$folder/wheels" "grafana-foundation-sdk==1769699998!10.1.0"
$pip install --quiet --no-deps --no-index --find-links "$folder/wheels" grafana-foundation-sdk
taken=$("$folder/venv/bin/python" -c 'from importlib.metadata import version; print(version("grafana-foundation-sdk"))')
echo "of 1769699379!11.6.0 and 1769699998!10.1.0, pip takes $taken"
if $pip install --quiet --no-deps --no-index --find-links "$folder/wheels" \
    --force-reinstall "grafana-foundation-sdk<12" >"$folder/pip.log" 2>&1; then
  echo "grafana-foundation-sdk<12: installed"
  exit 1
fi
echo "grafana-foundation-sdk<12: no version"
[ "$taken" = "1769699998!10.1.0" ]
