#!/bin/sh
# dbt-core 1.11.16: a `ref` in an override of get_where_subquery is not a dependency of built-in
# tests.
#
# The documentation says that projects may override the macro. Built-in generic tests (unique,
# not_null, …) do not render it when dbt parses, so dbt does not find a `ref` in it. The test then
# fails to compile, and the hint asks for a comment in "the model", a file that a built-in test does
# not have. A custom generic test with the `ref` in its SQL has the dependency.
#
# Output seen with Python 3.11:
#   unique_a_id depends on: model.p.a
#   own_a_id depends on: model.p.a, model.p.scope
#   unique_a_id: dbt was unable to infer all dependencies for the model "unique_a_id".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    dbt-core==1.11.16 dbt-duckdb==1.11.1 duckdb==2.0.1 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
mkdir -p "$folder/models" "$folder/macros"
cd "$folder"
cat >dbt_project.yml <<'YAML'
name: p
version: "1.0"
profile: p
flags: {send_anonymous_usage_stats: false}
YAML
cat >profiles.yml <<'YAML'
p: {target: dev, outputs: {dev: {type: duckdb, path: p.db}}}
YAML
echo "select 1 as id" >models/a.sql
echo "select 1 as id" >models/scope.sql
cat >models/models.yml <<'YAML'
models:
  - name: a
    columns:
      - name: id
        data_tests: [unique, own]
YAML
cat >macros/overrides.sql <<'SQL'
{% macro get_where_subquery(relation) %}
    (select * from {{ relation }} where id in (select id from {{ ref('scope') }})) as narrowed
{% endmacro %}
{% test own(model, column_name) %}
    select {{ column_name }} from {{ model }}
    where {{ column_name }} not in (select id from {{ ref('scope') }})
{% endtest %}
SQL
venv/bin/dbt --quiet build --profiles-dir . >build.log 2>&1 || true
venv/bin/python - <<'PYTHON'
import json

manifest = json.load(open("target/manifest.json"))
found = {
    node["name"]: sorted(node["depends_on"]["nodes"])
    for node in manifest["nodes"].values()
    if node["resource_type"] == "test"
}
for name in ("unique_a_id", "own_a_id"):
    print(f"{name} depends on: {', '.join(found[name])}")
results = json.load(open("target/run_results.json"))["results"]
[message] = [one["message"] for one in results if one["status"] == "error"]
line = next(line.strip() for line in message.splitlines() if "unable to infer" in line)
print(f"unique_a_id: {line}")
assert found["unique_a_id"] == ["model.p.a"], "the ref is a dependency now"
assert found["own_a_id"] == ["model.p.a", "model.p.scope"]
PYTHON
