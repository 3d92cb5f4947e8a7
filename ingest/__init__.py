"""GitHub to the schema `raw`."""

import os

# Before dlt is imported. It marks values of other types, in its files, by a character in front,
# and takes whatever begins so for one; its own choice are icons that people put into titles. These
# are no characters at all, and no text has them: ingest.github.models.
os.environ["DLT_JSON_TYPED_PUA_START"] = "0xfdd0"
