{#- dbt fails if a grantee does not exist, and does not grant usage on the schema. This
    override skips roles that do not exist and grants usage on the schema to the others.
    It grants nothing in a scratch schema. -#}
{% macro postgres__apply_grants(relation, grant_config, should_revoke) -%}
    {%- if not grant_config or var("scratch_schema", none) -%}
        {{ return("") }}
    {%- endif -%}
    {%- set grantees = grant_config.values() | sum(start=[]) | unique | list -%}
    {%- set found = run_query(find_grantees_sql(relation.schema, grantees)) -%}
    {%- set roles = found.columns["rolname"].values() -%}
    {%- for row in found.rows if not row["has_usage"] -%}
        {%- do run_query(grant_usage_sql(relation.schema, row["rolname"])) -%}
    {%- endfor -%}
    {%- set grants = {} -%}
    {%- for privilege, wanted in grant_config.items() -%}
        {%- do grants.update({privilege: wanted | select("in", roles) | list}) -%}
    {%- endfor -%}
    {%- do dbt.default__apply_grants(relation, grants, should_revoke) -%}
{%- endmacro %}

{#- dbt would quote PUBLIC like the name of a role, and that role does not exist. -#}
{% macro postgres__get_revoke_sql(relation, privilege, grantees) -%}
    {%- set names = [] -%}
    {%- for grantee in grantees -%}
        {%- do names.append("public" if grantee == "PUBLIC" else adapter.quote(grantee)) -%}
    {%- endfor -%}
    revoke {{ privilege }} on {{ relation.render() }} from {{ names | join(", ") }}
{%- endmacro %}

{% macro find_grantees_sql(schema, grantees) -%}
    select
        rolname,
        has_schema_privilege(oid, '{{ schema }}', 'usage') as has_usage
    from pg_roles
    where rolname in ('{{ grantees | join("', '") }}')
{%- endmacro %}

{#- Models of a build can finish at the same time, but concurrent grants on one schema
    fail. -#}
{% macro grant_usage_sql(schema, role) -%}
    select pg_advisory_xact_lock(hashtext('grant usage on schema'));
    do $$
    begin
        if not has_schema_privilege('{{ role }}', '{{ schema }}', 'usage') then
            grant usage on schema {{ adapter.quote(schema) }}
            to {{ adapter.quote(role) }};
        end if;
    end
    $$
{%- endmacro %}
