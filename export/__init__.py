"""The marts of one build as Parquet files, in a folder or in S3."""
