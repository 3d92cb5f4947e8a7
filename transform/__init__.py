"""Run dbt on a laptop and in AWS Lambda, and prepare the database for it."""
