"""The costs of the commit graph, and the errors of ordering real commits by date."""

import subprocess
import sys
from pathlib import Path

from benchmarks import releases

COMMITS = 500_000
# Of every ten commits, three are on a merged branch, as in long-lived repositories.
_PASS = f"""
import random, resource, time
from ingest.commit_graph import Graph
rng = random.Random(1)
commits, trunk = [], None
def add(*parents):
    sha = f"{{len(commits):040x}}"
    commits.append((sha, [parent for parent in parents if parent]))
    return sha
while len(commits) < {COMMITS}:
    base = trunk
    for _ in range(7):
        trunk = add(trunk)
    branch = base
    for _ in range(3):
        branch = add(branch)
    # One branch in twenty is a release branch, which is never merged.
    if rng.random() < 0.95:
        trunk = add(trunk, branch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
graph = Graph(commits, trunk)
count = sum(1 for _ in graph.places())
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{{count:,}} commits placed in {{seconds:.1f}} s; at most {{peak / 1024:.0f}} MB,"
      f" {{(peak - before) / 1024:.0f}} MB more than their list")
"""


def measure(home: Path) -> None:
    """Print the seconds of a pass, and a line for each real set of releases."""
    done = subprocess.run([sys.executable, "-c", _PASS], check=True, capture_output=True, text=True)
    print(f"graph: {done.stdout.strip()}")
    for name, rule in releases.RULES:
        compared = wrong_by_places = wrong_by_date = 0
        for of in releases.facts(name).values():
            truth = releases.named_by_git(of, rule)
            found = releases.first_releases(of, rule, len(of["parents"]) - 1)
            dated = releases.by_date(of, rule)
            after = [number for number, tag in truth.items() if tag != releases.BEFORE]
            compared += len(after)
            wrong_by_places += sum(found[number] != truth[number] for number in truth)
            wrong_by_date += sum(dated[number] != truth[number] for number in after)
        print(
            f"releases of {name}, {rule}: {compared:,} pull requests; another release than git"
            f" names: {wrong_by_places} by ancestry, {wrong_by_date / compared:.1%} by dates"
        )
