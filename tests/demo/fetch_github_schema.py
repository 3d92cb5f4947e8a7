"""Write GitHub's GraphQL schema without its descriptions to `github_schema.graphql.gz`.

Run `python tests/demo/fetch_github_schema.py` if a query needs something newer. It fetches the npm
package `@octokit/graphql-schema`, which contains GitHub's published schema.
"""

import gzip
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@octokit/graphql-schema@15"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        npm = Path(sys.executable).with_name("npm")
        packed = subprocess.run(
            [npm, "pack", PACKAGE, "--silent"], cwd=folder, check=True, capture_output=True
        )
        with tarfile.open(Path(folder, packed.stdout.decode().strip())) as archive:
            member = archive.extractfile("package/schema.graphql")
            assert member is not None
            text = member.read().decode()
    bare = re.sub(r'[ \t]*"""[\s\S]*?"""\n', "", text)
    target = Path(__file__).with_name("github_schema.graphql.gz")
    target.write_bytes(gzip.compress(re.sub(r"\n{2,}", "\n", bare).encode(), mtime=0))
    print(f"{target.name} is written.")


if __name__ == "__main__":
    main()
