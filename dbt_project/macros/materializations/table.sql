{#- A table made anew by every build, as dbt has it, but into the relation that is
    there: in one transaction, what is gone is deleted and what is new inserted. Views
    that others made on it stay, readers see the old rows until the new ones are whole,
    and neither waits for the other.

    Where its columns, constraints or indexes are not the model's, on --full-refresh,
    and without a contract, it is replaced as dbt does. Rows are compared whole, so no
    two may be equal: a model has a key. -#}
{% materialization table, adapter="postgres" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set new_rows = make_temp_relation(target_relation) -%}

    {%- set is_new = existing is none or not existing.is_table or should_full_refresh() -%}
    {%- if is_new or not config.get("contract").enforced -%}
        {{ return(dbt.materialization_table_default()) }}
    {%- endif -%}
    {%- do make_like_the_model(new_rows) -%}
    {%- if not has_the_shape_of(target_relation, new_rows) -%}
        {%- do run_query("drop table " ~ new_rows) -%}
        {{ return(dbt.materialization_table_default()) }}
    {%- endif -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement("main") -%}
        {{ get_assert_columns_equivalent(sql) }}
        {%- set columns = adapter.dispatch("get_column_names", "dbt")() -%}
        insert into {{ new_rows }} ({{ columns }}) {{ get_select_subquery(sql) }};
        analyze {{ new_rows }};
        delete from {{ target_relation }} as kept
        where not exists (select from {{ new_rows }} as made where made = kept);
        insert into {{ target_relation }} ({{ columns }})
        select {{ columns }} from {{ new_rows }} as made
        where not exists (select from {{ target_relation }} as kept where kept = made)
    {%- endcall -%}
    {%- do run_query("drop table " ~ new_rows) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(target_relation, config.get("grants"), should_revoke=True) -%}
    {%- do persist_docs(target_relation, model) -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}

{#- An empty table that has what the contract and the configuration say. -#}
{% macro make_like_the_model(relation) -%}
    {%- set columns = get_table_columns_and_constraints() -%}
    {%- do run_query("create temporary table " ~ relation ~ " " ~ columns) -%}
    {%- do create_indexes(relation) -%}
{%- endmacro %}

{#- The same columns in the same order, the same constraints, and no index missing. -#}
{% macro has_the_shape_of(relation, wanted) -%}
    {%- set query -%}
        with shapes as (
            select
                pg_class.oid,
                array(
                    select format('%s %s', attname, format_type(atttypid, atttypmod))
                    from pg_attribute
                    where attrelid = pg_class.oid and attnum > 0 and not attisdropped
                    order by attnum
                ) as columns,
                array(
                    select pg_get_constraintdef(oid)
                    from pg_constraint
                    where conrelid = pg_class.oid
                    order by 1
                ) as constraints,
                array(
                    select format(
                        '%s %s',
                        indisunique,
                        regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '')
                    )
                    from pg_index
                    where indrelid = pg_class.oid
                ) as indexes
            from pg_class
            where pg_class.oid in ('{{ relation }}'::regclass, '{{ wanted }}'::regclass)
        )
        select
            there.columns = wanted.columns
            and there.constraints = wanted.constraints
            and there.indexes @> wanted.indexes
        from shapes as there
        cross join shapes as wanted
        where
            there.oid = '{{ relation }}'::regclass
            and wanted.oid = '{{ wanted }}'::regclass
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{%- endmacro %}
