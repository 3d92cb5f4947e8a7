#!/bin/sh
# dbt-core 1.11.16: `dbt source freshness` runs the project's on-run-start and on-run-end hooks.
#
# The command reads when sources were loaded and seems to change nothing. But it also runs hooks that
# create a table, take a lock or record a build, unless they check `invocation_args_dict.which` or
# the flag source_freshness_run_project_hooks is false.
#
# Output seen with Python 3.11:
#   freshness: pass
#   rows that the hooks wrote: freshness started, freshness ended
#   with source_freshness_run_project_hooks false: no rows
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    dbt-core==1.11.16 dbt-duckdb==1.11.1 duckdb==2.0.1 pytz >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
mkdir -p "$folder/models"
cd "$folder"
cat >profiles.yml <<'YAML'
p: {target: dev, outputs: {dev: {type: duckdb, path: p.db}}}
YAML
cat >models/sources.yml <<'YAML'
sources:
  - name: main
    config:
      loaded_at_field: loaded_at
      freshness: {error_after: {count: 1, period: day}}
    tables: [{name: loaded}]
YAML
ask() {
    rm -f p.db
    cat >dbt_project.yml <<YAML
name: p
version: "1.0"
profile: p
flags: {send_anonymous_usage_stats: false$1}
on-run-start: "insert into noted select '{{ invocation_args_dict.which }} started'"
on-run-end: "insert into noted select '{{ invocation_args_dict.which }} ended'"
YAML
    venv/bin/python - <<'PYTHON'
import duckdb

with duckdb.connect("p.db") as database:
    database.execute("create table loaded as select current_timestamp as loaded_at")
    database.execute("create table noted (what text)")
PYTHON
    venv/bin/dbt --quiet source freshness --profiles-dir . >freshness.log 2>&1 || { cat freshness.log; exit 1; }
}
ask ""
venv/bin/python - <<'PYTHON'
import json

import duckdb

[result] = json.load(open("target/sources.json"))["results"]
print(f"freshness: {result['status']}")
noted = [what for (what,) in duckdb.connect("p.db").execute("from noted").fetchall()]
print(f"rows that the hooks wrote: {', '.join(noted)}")
assert noted == ["freshness started", "freshness ended"], "the hooks do not run any more"
PYTHON
ask ", source_freshness_run_project_hooks: false"
venv/bin/python - <<'PYTHON'
import duckdb

noted = duckdb.connect("p.db").execute("from noted").fetchall()
print(f"with source_freshness_run_project_hooks false: {noted or 'no rows'}")
assert not noted
PYTHON
