#!/bin/sh
# dbt-core 1.11.16: the key order of a dictionary in a model's config() changes from run to run.
#
# dbt reads a simple config() with a static parser written in Rust, which does not preserve the order
# of dictionaries inside keyword arguments. PYTHONHASHSEED has no effect. The same project therefore
# sometimes gives different bytes in manifest.json and partial_parse.msgpack, and a tool that compares
# or signs artifacts built from them reports a change although there is none. The same keys in YAML
# keep their order, and so do keys in config() with the static parser switched off.
#
# Output seen with Python 3.11, of twelve parses each:
#   config() in the model: 2 orders
#   --no-static-parser: 1 order
#   config in YAML: 1 order
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    dbt-core==1.11.16 dbt-duckdb==1.11.1 duckdb==2.0.1 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 1; }
mkdir -p "$folder/models"
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
echo "{{ config(meta={'owner': 'a', 'level': 'b'}) }} select 1 as id" >models/in_model.sql
echo "select 1 as id" >models/in_yaml.sql
cat >models/models.yml <<'YAML'
models:
  - name: in_yaml
    config: {meta: {owner: a, level: b}}
YAML
parse() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        PYTHONHASHSEED=0 venv/bin/dbt --quiet "$@" parse --no-partial-parse --profiles-dir . >>parse.log 2>&1
        venv/bin/python - <<'PYTHON'
import json

nodes = json.load(open("target/manifest.json"))["nodes"]
print(*(",".join(nodes[f"model.p.{name}"]["config"]["meta"]) for name in ("in_model", "in_yaml")))
PYTHON
    done
}
parse >found
parse --no-static-parser >without
count() { sort -u | wc -l | tr -d ' '; }
in_model=$(cut -d' ' -f1 found | count)
without=$(cut -d' ' -f1 without | count)
in_yaml=$(cut -d' ' -f2 found | count)
echo "config() in the model: $in_model orders"
echo "--no-static-parser: $without order"
echo "config in YAML: $in_yaml order"
[ "$in_model" = 2 ] && [ "$without" = 1 ] && [ "$in_yaml" = 1 ]
