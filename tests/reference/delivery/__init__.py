"""The marts of DELIVERY.md worked out a second time, in plain Python, from that page alone.

`delivery(world)` turns a `World` of facts into the rows of every mart. It shares no code with the
dbt models; attribution, coverage and periods are those of the reference of METRICS.md.

Where DELIVERY.md leaves a question open, the answer here is this.

Targets and sources
- The name of a target without one of its own is its repository's.
- Environments match by `re.search` ignoring case, tags by `re.search` with regard to case; a
  deployment without an environment (null or empty) has its original one.
- Target names and labels compare ignoring case. A target claims a change by any of its labels or
  paths; in a path pattern `*` is any text, slashes included. A target without deployments claims
  too.
- A workflow is named by its name or its file's name; its branch is the default branch unless given.
- A lightweight tag whose commit is unknown has no date and is no deployment; neither is, as a
  proxy, a merge without a merge commit.
- One GitHub deployment may be one of several targets: the key is (repository, target, id). Ids
  compare as text by code point; a run's id is text too.
- A status comes after the success if it is later than that, not at the same instant.

Kinds
- An unknown commit is `first` even if the same one runs already. It contains nothing, not even the
  pull request whose head it is.
- Until a known commit has run, a known one is `first` too: else it would add the whole history.
- `changes_added` and `changes_withdrawn` of other kinds, `first` included, are 0, not null.
- A change of `first` that a rollback withdraws and a `deploy` adds again is deployed by the latter.
- Pull requests that PULL_REQUESTS excludes are deployed as others are and can be evidence, but
  count in no number of changes, no share and not for rework. Vanished ones are no changes.
- Of several first deployments at one instant (order, then key) the smallest counts.
- Reasons in this order: `not_measured`, `before_first_deployment` (in `first` of any target),
  `no_merge_commit`, `unknown_commit`, `not_deployed`.
- A lead time is not clamped: with a wrong clock it can be negative.

Reverts and hotfixes
- A revert is known by a body line `Reverts [owner/name]#N` (own repository) or `This reverts
  commit SHA` (seven digits or more), by a branch `revert-N-…`, by a title `Revert "…"` or
  `Reapply "…"`; all ignoring case, the branch excepted.
- What it reverts is everything its body names, else the branch's number, else the title's `(#N)`,
  else the last merged pull request before it of that very title; only merged ones of the same
  repository count.
- It is a revert of a revert by a title `Revert "Revert "…` or `Revert "Reapply "…` or `Reapply
  "…`, by a branch `revert-N-revert-M-…`, or if all that it reverts are reverts (of any depth).
- A revert of which nobody knows what it reverts is rework, and no evidence.
- Branch and label of a hotfix compare ignoring case.
- A hotfix counts when a target first adds it; the last `deploy` before that may have been rolled
  back since, and may have added nothing.

Rollbacks
- Rolled back to is the last effective deployment whose commit the rollback's has (it need not be
  the same); blamed is the first `deploy` after that whose commit ran within what was undone.

Incidents
- What an incident names and what is no `deploy` falls through to the next name, then to inference;
  so does what is unknown. The commit is that of a deployment, not of a pull request's merge.
- Named several times (a commit deployed twice, a change of two services): one of the incident's own
  targets if there is one, of those the last at or before `started_at`, else the earliest.
- A repository without a target means all targets of it, a target without a repository all of that
  name; the last effective deployment of any of them counts.
- Of an issue, the repository is its own unless `Service:` names another (`owner/name`) or a target
  that only another repository has. `Started:` without a zone, or no instant, is not read.
- `Caused by:` is a pull request (`#N`, `owner/name#N`, address), else a commit (7 to 40 hex
  digits), else a deployment's id. In a column, a number of up to six digits is a pull request.
- `Caused by: none` in an issue is `caused_by_change` false.
- `caused_by_change` false is never linked, even if it names something; true outlives the window
  only if there is a `deploy` to link to.
- Links do not depend on which causes are left out.
- An incident ends when its fix is deployed in the target of the linked deployment, if the fix
  belongs to that; else when it is first deployed anywhere. It ends with its own end if the fix is
  unknown, not merged, without a known merge commit, or in a `first`. Only a known fix that is still
  to be deployed keeps it open, whatever `resolved_at` says. An open issue has no fix.
- A fix by commit is the pull request of that merge commit; else the first effective deployment that
  has the commit ends the incident.

Failure and recovery
- The window is so many times 24 hours, whatever the clock does.
- Remedies count whichever causes are left out, except of `status`: that has a remedy only where it
  is a cause. The remedy is later than the first failing status.
- Recovery is the earliest remedy even if another cause goes on; an incident's fix remedies when its
  own target adds it.

Teams
- `fct_team_deployments` has `unassigned`, and no row for people in no team. A deployment without
  changes that count has no rows. A weight of 0 is a share of 0 and counts plainly.
- Shares are exact fractions; so are the weights of a weighted median.
- `measured_from` goes by merged changes that are not excluded, and by a target's earliest `first`.
- Null in every column means every figure: `measured_from`, `is_complete` and `is_settled` stay.
- Rows end with the later of METRICS.md's end and the team's last deployment, first deployed change,
  rollback or recovery; they begin as in METRICS.md.
- `as_of` of `is_complete`, `is_settled` and `failures_open` is the smallest of everything loaded.
- A recovery after `as_of` counts in its period all the same.
"""

from .facts import (
    CAUSES,
    DEFAULT_RULES,
    Attempt,
    Commit,
    GitHubDeployment,
    Incident,
    IncidentRule,
    Issue,
    PullRequest,
    Release,
    Rule,
    Status,
    Tag,
    WorkflowRun,
    World,
)
from .marts import Delivery, delivery

__all__ = [
    "CAUSES",
    "DEFAULT_RULES",
    "Attempt",
    "Commit",
    "Delivery",
    "GitHubDeployment",
    "Incident",
    "IncidentRule",
    "Issue",
    "PullRequest",
    "Release",
    "Rule",
    "Status",
    "Tag",
    "WorkflowRun",
    "World",
    "delivery",
]
