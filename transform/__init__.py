"""dbt as Lambda functions: one makes the database ready, one builds the marts."""
