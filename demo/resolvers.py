"""Resolvers, which read the fields of GitHub's schema from the store.

A field without a resolver is the source's attribute of the same name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from graphql import FieldNode, GraphQLResolveInfo

from demo.delivery_resolvers import delivery_resolvers
from demo.github import GitHub
from demo.model import (
    Account,
    ChangedFile,
    Commit,
    Label,
    PullRequest,
    Repository,
    node_id,
    sha1,
)
from demo.pages import Page, Refusal, page_of_items, page_of_keys
from demo.query_cost import fields_of
from demo.teams import team_resolvers

MAX_PAGE = 100
MAX_IDS = 100
# GitHub lists no more files of a pull request.
MAX_FILES = 3000
Info = GraphQLResolveInfo[Any]
Resolver = Callable[..., Any]


@dataclass(slots=True)
class RateLimit:
    """`rateLimit` after this request is charged."""

    cost: int
    limit: int
    node_count: int
    remaining: int
    reset_at: str
    used: int


@dataclass(slots=True)
class Context:
    """The context of one request."""

    github: GitHub
    rate_limit: RateLimit


@dataclass(slots=True)
class CommitItem:
    id: str
    commit: Commit


def _actor(attribute: str) -> Callable[..., Account | None]:
    def resolve(source: Any, _info: Info) -> Account | None:
        account: Account | None = getattr(source, attribute)
        return None if account is None or account.is_deleted else account

    return resolve


def _checked(info: Info, first: int | None) -> int:
    """Return the page size; refuse it as GitHub does. A query for a count does not need it."""
    name = info.field_name
    if first is None:
        below = (node.selection_set for node in info.field_nodes if node.selection_set)
        asked = {field.name.value for each in below for field in fields_of(each, info.fragments)}
        if "nodes" not in asked:
            return 0
        raise Refusal(
            "MISSING_PAGINATION_BOUNDARIES",
            "You must provide a `first` or `last` value to properly paginate"
            f" the `{name}` connection.",
        )
    if first > MAX_PAGE:
        raise Refusal(
            "EXCESSIVE_PAGINATION",
            f"Requesting {first} records on the `{name}` connection exceeds the `first` limit"
            f" of {MAX_PAGE} records.",
        )
    if first < 0:
        raise Refusal("INVALID_CURSOR_ARGUMENTS", f"`first` on `{name}` cannot be negative.")
    return first


def _pull_requests(
    source: Repository,
    info: Info,
    first: int | None = None,
    after: str | None = None,
    orderBy: Mapping[str, str] | None = None,
    states: Sequence[str] | None = None,
) -> Page:
    first = _checked(info, first)
    order = orderBy or {"field": "CREATED_AT", "direction": "ASC"}
    numbers = source.by_number
    keys = source.by_updated_at
    if order["field"] == "CREATED_AT":
        keys = sorted((pull.created_at, pull.number) for pull in numbers.values())
    if states is not None:
        keys = [key for key in keys if numbers[key[1]].state in states]
    taken, page = page_of_keys(keys, first, after, order["direction"] == "DESC")
    found = [numbers[number] for _, number in taken]
    page.nodes = list(found) if _asks_for_ids_alone(info) else [_readable(pr) for pr in found]
    return page


def _asks_for_ids_alone(info: Info) -> bool:
    """Whether only ids are selected: GitHub returns the id even of an unreadable node."""
    for field in _selected(info.field_nodes[0]):
        if field.name.value == "nodes":
            return {inner.name.value for inner in _selected(field)} == {"id"}
    return False


def _selected(field: FieldNode) -> list[FieldNode]:
    selections = field.selection_set.selections if field.selection_set else ()
    return [found for found in selections if isinstance(found, FieldNode)]


def _readable(pull_request: PullRequest) -> PullRequest | Refusal:
    if pull_request.is_unreadable:
        return Refusal(None, "Something went wrong while executing your query.")
    return pull_request


def _reviews(
    source: PullRequest,
    info: Info,
    first: int | None = None,
    after: str | None = None,
) -> Page:
    return page_of_items(source.reviews, _checked(info, first), after)


def _timeline_items(
    source: PullRequest,
    info: Info,
    first: int | None = None,
    after: str | None = None,
    itemTypes: Sequence[str] | None = None,
) -> Page:
    events = source.draft_events
    if itemTypes is not None and len(itemTypes) == 1:
        wanted = itemTypes[0].title().replace("_", "")
        events = [event for event in events if event.type == wanted]
    return page_of_items(events, _checked(info, first), after)


def _labels(
    source: PullRequest,
    info: Info,
    first: int | None = None,
    after: str | None = None,
) -> Page:
    keys = [(name, 0) for name in sorted(source.labels)]
    taken, page = page_of_keys(keys, _checked(info, first), after, False)
    page.nodes = [Label(node_id("LA", source.repository.id, name), name) for name, _ in taken]
    return page


def _files(
    source: PullRequest,
    info: Info,
    first: int | None = None,
    after: str | None = None,
) -> Page:
    keys = sorted((path, 0) for path in source.paths[:MAX_FILES])
    taken, page = page_of_keys(keys, _checked(info, first), after, False)
    page.nodes = [ChangedFile(path) for path, _ in taken]
    return page


def _commits(
    source: PullRequest,
    info: Info,
    first: int | None = None,
    after: str | None = None,
) -> Page:
    """Return the first commit; the others are only counted."""
    first = _checked(info, first)
    nodes = []
    if first and not after and source.first_commit_at is not None:
        oid = sha1(source.id, "first commit")
        commit = Commit(node_id("C", oid), oid, source.first_commit_at)
        nodes = [CommitItem(node_id("PURC", oid), commit)]
    return Page(nodes, source.commit_count, None, False)


def _repositories(
    source: Account,
    info: Info,
    first: int | None = None,
    after: str | None = None,
    orderBy: Mapping[str, str] | None = None,
    ownerAffiliations: Sequence[str] | None = None,
) -> Page:
    first = _checked(info, first)
    order = orderBy or {"field": "CREATED_AT", "direction": "ASC"}
    owned = _github(info).repositories(source.login)
    by_name = order["field"] == "NAME"
    by_key = {(item.name if by_name else item.created_at, item.id): item for item in owned}
    taken, page = page_of_keys(sorted(by_key), first, after, order["direction"] == "DESC")
    page.nodes = [_allowed(by_key[cast(Any, key)]) for key in taken]
    return page


def _github(info: Info) -> GitHub:
    return cast(Context, info.context).github


def _allowed(repository: Repository) -> Repository | Refusal:
    if repository.blocked is None:
        return repository
    return Refusal("FORBIDDEN", repository.blocked, saml_failure="SAML" in repository.blocked)


def _node(_root: None, info: Info, id: str) -> Any:
    found = _github(info).node(id)
    if found is None:
        return _missing(id)
    if isinstance(found, PullRequest):
        refused = _allowed(found.repository)
        return refused if isinstance(refused, Refusal) else _readable(found)
    if isinstance(found, Repository):
        return _allowed(found)
    repository = getattr(found, "repository", None)
    if isinstance(repository, Repository):
        refused = _allowed(repository)
        is_hidden = getattr(found, "is_draft", False) and not _github(info).shows_drafts
        if isinstance(refused, Refusal) or is_hidden:
            return refused if isinstance(refused, Refusal) else _missing(id)
        if getattr(found, "is_unreadable", False):
            return Refusal(None, "Something went wrong while executing your query.")
    return found


def _missing(id: str) -> Refusal:
    return Refusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{id}'.")


def _nodes(_root: None, info: Info, ids: Sequence[str]) -> list[Any]:
    if len(ids) > MAX_IDS:
        raise Refusal(
            "ARGUMENT_LIMIT",
            f"You may not provide more than {MAX_IDS} node ids; you provided {len(ids)}.",
        )
    return [_node(None, info, id) for id in ids]


def _repository(_root: None, info: Info, owner: str, name: str, followRenames: bool = True) -> Any:
    asked = f"{owner}/{name}"
    found = _github(info).find_repository(asked)
    is_former = found is not None and found.name_with_owner.lower() != asked.lower()
    if found is None or (is_former and not followRenames):
        message = f"Could not resolve to a Repository with the name '{asked}'."
        return Refusal("NOT_FOUND", message)
    return _allowed(found)


def _repository_owner(_root: None, info: Info, login: str) -> Account | None:
    account = _github(info).find_account(login)
    return account if account is not None and account.type in ("User", "Organization") else None


def _organization(_root: None, info: Info, login: str) -> Account | Refusal:
    account = _github(info).find_account(login)
    if account is None or account.type != "Organization":
        message = f"Could not resolve to an Organization with the login of '{login}'."
        return Refusal("NOT_FOUND", message)
    return account


def _viewer(_root: None, info: Info) -> Account:
    return _github(info).account("dora-metrics-reader")


def _rate_limit(_root: None, info: Info) -> RateLimit:
    return cast(Context, info.context).rate_limit


RESOLVERS: dict[tuple[str, str], Resolver] = {
    **delivery_resolvers(_checked, _asks_for_ids_alone),
    **dict(team_resolvers(_checked)),
    ("*", "author"): _actor("author"),
    ("*", "mergedBy"): _actor("merged_by"),
    ("*", "repositories"): _repositories,
    ("Repository", "pullRequests"): _pull_requests,
    ("PullRequest", "reviews"): _reviews,
    ("PullRequest", "timelineItems"): _timeline_items,
    ("PullRequest", "labels"): _labels,
    ("PullRequest", "commits"): _commits,
    ("PullRequest", "files"): _files,
    ("Query", "node"): _node,
    ("Query", "nodes"): _nodes,
    ("Query", "organization"): _organization,
    ("Query", "repository"): _repository,
    ("Query", "repositoryOwner"): _repository_owner,
    ("Query", "viewer"): _viewer,
    ("Query", "rateLimit"): _rate_limit,
}
