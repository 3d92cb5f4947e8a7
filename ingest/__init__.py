"""Loads GitHub's data into the schema `raw`."""

import os

# Set before dlt is imported. dlt's files mark the type of a value by a character in front of it. By
# default these are private-use characters, which people put into titles as icons. From U+FDD0 on
# they are noncharacters, which ingest.github.models removes from every text.
os.environ["DLT_JSON_TYPED_PUA_START"] = "0xfdd0"
