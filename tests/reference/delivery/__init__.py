"""A second, independent computation of the marts of docs/delivery.md, in plain Python.

`delivery(world)` turns a `World` of facts into the rows of every mart. It shares no code with the
dbt models; attribution, coverage and periods come from the reference of docs/metrics.md.

The following rules apply if docs/delivery.md leaves a question open.

Targets and sources
- If a rule gives no name, the target has the name of its repository.
- Environments match by `re.search` ignoring case, tags by `re.search` respecting case. A deployment
  without an environment (null or empty) uses its original one.
- Target names and labels are compared ignoring case. A target claims a change by any of its labels
  or paths; in a path pattern `*` is any text, including slashes, and case is ignored. A target
  without deployments also claims changes.
- A workflow is named by its name or its file's name; its branch is the default branch unless given.
- A lightweight tag whose commit is unknown has no date and is not a deployment. A merge without a
  merge commit is not a deployment either (source `merges`).
- One GitHub deployment may belong to several targets: the key is (repository, target, id). Ids
  compare as text by code point; a run's id is text too.
- A status counts as after the success only if it is later, not at the same instant.

Kinds
- An unknown commit is `first` even if it already runs. It contains nothing, not even the pull
  request whose head it is.
- Until a known commit has run, a known one is `first` too; otherwise it would add the whole
  history.
- `changes_added` and `changes_withdrawn` of other kinds, `first` included, are 0, not null.
- If a change of `first` is withdrawn by a rollback and added again by a `deploy`, that `deploy`
  deploys it.
- Pull requests excluded by PULL_REQUESTS are deployed like others and can be evidence, but do not
  count in numbers of changes, shares and rework. Vanished pull requests are not changes.
- Of several first deployments at one instant (order, then key) the smallest counts.
- Reasons in this order: `not_measured`, `before_first_deployment` (in `first` of any target),
  `no_merge_commit`, `unknown_commit`, `not_deployed`.
- A lead time is not clamped: with a wrong clock it can be negative.

Reverts and hotfixes
- A revert is recognised by a body line `Reverts [owner/name]#N` (same repository) or `This reverts
  commit SHA` (seven digits or more), by a branch `revert-N-…`, or by a title `Revert "…"` or
  `Reapply "…"`. All ignore case, except the branch.
- It reverts everything that its body names; else the number in its branch; else the `(#N)` in its
  title; else the last merged pull request before it with exactly that title. Only merged ones of
  the same repository count.
- It is a revert of a revert by a title `Revert "Revert "…`, `Revert "Reapply "…` or `Reapply "…`,
  by a branch `revert-N-revert-M-…`, or if everything that it reverts is a revert (at any depth).
- A revert of unknown changes is rework, but not evidence.
- Branch and label of a hotfix are compared ignoring case.
- A hotfix counts when a target first adds it. The last `deploy` before that may have been rolled
  back since, and may have added nothing.

Rollbacks
- The deployment rolled back to is the last effective one whose commit the rollback's commit
  contains (it need not be the same). The blamed one is the first `deploy` after that whose commit
  the rollback removed.

Incidents
- If the named deployment is not a `deploy`, or is unknown, the next name counts, then inference.
  The commit is that of a deployment, not the merge commit of a pull request.
- If several deployments are named (a commit deployed twice, a change of two services), those of the
  incident's targets have priority, then the last one at or before `started_at`, then the earliest.
- A repository without a target means all its targets; a target without a repository means all
  targets of that name. The last effective deployment of any of them counts.
- The repository of an issue is the issue's, unless `Service:` names another (`owner/name`) or a
  target that only another repository has. `Started:` is ignored without a zone or if it is not an
  instant.
- `Caused by:` is a pull request (`#N`, `owner/name#N`, address), else a commit (7 to 40 hex
  digits), else a deployment's id. In a column, a number of up to six digits is a pull request.
- `Caused by: none` in an issue means `caused_by_change` false.
- With `caused_by_change` false an incident is never linked, even if it names something. With true
  the window does not apply, but there must be a `deploy` to link to.
- Links do not depend on the causes that are left out.
- An incident ends when its fix is deployed in the target of the linked deployment, if the fix
  belongs to that target; else when the fix is first deployed anywhere. It ends at `resolved_at` if
  the fix is unknown, not merged, without a known merge commit, or in a `first`. Only a known fix
  that is not deployed yet keeps it open, regardless of `resolved_at`. An open issue has no fix.
- A fix by commit is the pull request with that merge commit; else the first effective deployment
  that contains the commit ends the incident.

Failure and recovery
- The window is a number of days of 24 hours, regardless of clock changes.
- Remedies count regardless of the causes that are left out, except for `status`, which has a remedy
  only if it is a counted cause. The remedy is later than the first failing status.
- Recovery is the earliest remedy, even if another cause continues. An incident's fix remedies a
  deployment when its target adds the fix.

Teams
- `fct_team_deployments` has `unassigned`, and no row for people in no team. A deployment without
  counted changes has no rows. A weight of 0 is a share of 0 and counts in unweighted figures.
- Shares are exact fractions; so are the weights of a weighted median.
- `measured_from` uses merged changes that are not excluded, and a target's earliest `first`.
- "Null in every column" means every figure: `measured_from`, `is_complete` and `is_settled` stay.
- Rows begin as in docs/metrics.md. They end with the later of the end in docs/metrics.md and the
  team's last deployment, first deployed change, rollback or recovery.
- `as_of` of `is_complete`, `is_settled` and `failures_open` is the smallest over all loaded data.
- A recovery after `as_of` still counts in its period.
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
