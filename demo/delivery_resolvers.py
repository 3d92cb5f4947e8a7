"""Resolvers of deliveries: commits, deployments, releases, tags and issues."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from demo.delivery_model import (
    ClosedEvent,
    Deployment,
    DeploymentStatus,
    GitCommit,
    Issue,
    Ref,
    Release,
    history,
)
from demo.model import Label, PullRequest, Repository, node_id
from demo.pages import Page, Refusal, page_of_keys

Checked = Callable[[Any, int | None], int]
Resolver = Callable[..., Any]
Order = Mapping[str, str] | None


def delivery_resolvers(
    checked: Checked, asks_for_ids_alone: Callable[[Any], bool]
) -> dict[tuple[str, str], Resolver]:
    """Return the resolvers by type and field; `checked` refuses page sizes as GitHub does."""

    def page(
        items: Mapping[tuple[str, str], Any],
        info: Any,
        first: int | None,
        after: str | None,
        is_descending: bool,
    ) -> Page:
        taken, found = page_of_keys(sorted(items), checked(info, first), after, is_descending)
        nodes = [items[key[0], key[1]] for key in taken]
        found.nodes = nodes if asks_for_ids_alone(info) else [_readable(node) for node in nodes]
        return found

    def deployments(
        source: Repository,
        info: Any,
        first: int | None = None,
        after: str | None = None,
        orderBy: Order = None,
    ) -> Page:
        items = {(each.created_at, each.id): each for each in source.deployments.values()}
        return page(items, info, first, after, _is_descending(orderBy))

    def statuses(
        source: Deployment, info: Any, first: int | None = None, after: str | None = None
    ) -> Page:
        items: dict[tuple[str, str], DeploymentStatus] = {
            (each.created_at, f"{each.position:06}"): each for each in source.statuses
        }
        return page(items, info, first, after, True)

    def releases(
        source: Repository,
        info: Any,
        first: int | None = None,
        after: str | None = None,
        orderBy: Order = None,
    ) -> Page:
        shows_drafts = info.context.github.shows_drafts
        items: dict[tuple[str, str], Release] = {
            (each.created_at, each.id): each
            for each in source.releases.values()
            if shows_drafts or not each.is_draft
        }
        return page(items, info, first, after, _is_descending(orderBy))

    def refs(
        source: Repository,
        info: Any,
        refPrefix: str,
        first: int | None = None,
        after: str | None = None,
        orderBy: Order = None,
    ) -> Page:
        is_by_date = orderBy is not None and orderBy["field"] == "TAG_COMMIT_DATE"
        items: dict[tuple[str, str], Ref] = {
            (each.commit.committed_date if is_by_date and each.commit else "", each.name): each
            for each in (source.tags.values() if refPrefix == "refs/tags/" else ())
        }
        return page(items, info, first, after, _is_descending(orderBy))

    def issues(
        source: Repository,
        info: Any,
        first: int | None = None,
        after: str | None = None,
        labels: Sequence[str] | None = None,
        orderBy: Order = None,
    ) -> Page:
        is_by_update = orderBy is not None and orderBy["field"] == "UPDATED_AT"
        wanted = None if labels is None else {label.lower() for label in labels}
        items: dict[tuple[str, str], Issue] = {
            (each.updated_at if is_by_update else each.created_at, each.id): each
            for each in source.issues.values()
            if wanted is None or wanted & {label.lower() for label in each.labels}
        }
        return page(items, info, first, after, _is_descending(orderBy))

    def issue_labels(
        source: Issue, info: Any, first: int | None = None, after: str | None = None
    ) -> Page:
        items = {
            (name, ""): Label(node_id("LA", source.repository.id, name), name)
            for name in source.labels
        }
        return page(items, info, first, after, False)

    def linked(
        source: Issue,
        info: Any,
        first: int | None = None,
        after: str | None = None,
        includeClosedPrs: bool = False,
    ) -> Page:
        items: dict[tuple[str, str], PullRequest] = {
            (each.created_at, each.id): each
            for each in source.linked
            if includeClosedPrs or not each.closed
        }
        return page(items, info, first, after, False)

    def closings(
        source: Issue,
        info: Any,
        first: int | None = None,
        last: int | None = None,
        itemTypes: Sequence[str] | None = None,
    ) -> Page:
        count = checked(info, first if last is None else last)
        found: list[ClosedEvent] = source.events
        taken = found[-count:] if last is not None else found[:count]
        return Page(taken, len(found), None, len(found) > len(taken))

    def commit_history(
        source: GitCommit, info: Any, first: int | None = None, after: str | None = None
    ) -> Page:
        """Its cursors consist of the tip and a number, like GitHub's."""
        listed = history(source.repository, source.oid)
        start = int(after.partition(" ")[2]) + 1 if after else 0
        taken = listed[start : start + checked(info, first)]
        end = start + len(taken)
        commits = [source.repository.commits[oid] for oid in taken]
        cursor = f"{source.oid} {end - 1}" if taken else None
        return Page(commits, len(listed), cursor, end < len(listed))

    def parents(
        source: GitCommit, info: Any, first: int | None = None, after: str | None = None
    ) -> Page:
        known = source.repository.commits
        found = [known[oid] for oid in source.parent_oids if oid in known]
        taken = found[: checked(info, first)]
        return Page(taken, len(found), str(len(taken)), len(found) > len(taken))

    return {
        ("Repository", "deployments"): deployments,
        ("Repository", "releases"): releases,
        ("Repository", "refs"): refs,
        ("Repository", "issues"): issues,
        ("Repository", "defaultBranchRef"): _default_branch_ref,
        ("Repository", "object"): _object,
        ("Deployment", "statuses"): statuses,
        ("Commit", "history"): commit_history,
        ("Commit", "parents"): parents,
        ("Issue", "labels"): issue_labels,
        ("Issue", "closedByPullRequestsReferences"): linked,
        ("Issue", "timelineItems"): closings,
        ("Issue", "stateReason"): _state_reason,
    }


def _is_descending(order: Order) -> bool:
    return order is not None and order["direction"] == "DESC"


def _readable(item: Any) -> Any:
    if getattr(item, "is_unreadable", False):
        return Refusal(None, "Something went wrong while executing your query.")
    return item


def _default_branch_ref(source: Repository, _info: Any) -> Ref | None:
    tip = source.branches.get(source.default_branch)
    if tip is None:
        return None
    key = node_id("REF", source.id, "refs/heads/", source.default_branch)
    return Ref(key, source, source.default_branch, "refs/heads/", source.commits[tip])


def _object(source: Repository, _info: Any, oid: str | None = None) -> GitCommit | None:
    return source.commits.get(oid or "")


def _state_reason(source: Issue, _info: Any, enableDuplicate: bool = False) -> str | None:
    if source.reason == "DUPLICATE" and not enableDuplicate:
        return "NOT_PLANNED"
    return source.reason
