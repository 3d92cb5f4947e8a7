"""The demo's GitHub: an in-memory store that can be edited between requests.

Every change takes the instant at which it happens. As on GitHub, ids survive renames and transfers,
and a renamed account has its new login everywhere at once.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo import records
from demo.delivery_changes import Delivering
from demo.model import (
    ACCOUNT_PREFIXES,
    Account,
    DraftEvent,
    PullRequest,
    Repository,
    Review,
    instant,
    node_id,
    sha1,
)
from demo.teams import WithTeams

if TYPE_CHECKING:
    from demo.organisation import Organisation

SAML = (
    "Resource protected by organization SAML enforcement."
    " You must grant your Personal Access token access to this organization."
)


class GitHub(WithTeams, Delivering):
    """Accounts, repositories and their content; hold `lock` around edits that belong together."""

    def __init__(self) -> None:
        super().__init__()
        # The fields, as `Type.field`, that the token has no permission to read.
        self.hidden_fields: set[str] = set()
        self._accounts: dict[str, Account] = {}
        self._logins: dict[str, Account] = {}
        self._repositories: dict[str, Repository] = {}
        self._names: dict[str, Repository] = {}
        self._repository_ids: set[str] = set()
        self._pull_requests: dict[str, PullRequest] = {}

    @classmethod
    def from_records(cls, rows: Iterable[records.PullRequestRecord]) -> "GitHub":
        """Return a GitHub with these pull requests and their accounts and repositories."""
        github = cls()
        for row in rows:
            github.add_record(row)
        return github

    @classmethod
    def from_jsonl(cls, path: Path | str) -> "GitHub":
        """Return a GitHub with the pull requests of a JSON Lines file, plain or gzipped."""
        return cls.from_records(records.read_jsonl(Path(path)))

    @classmethod
    def from_organisation(cls, organisation: "Organisation") -> "GitHub":
        github = cls()
        for name, created_at, is_archived in organisation.repositories:
            github.create_repository(name, created_at).is_archived = is_archived
        for row in organisation.records:
            github.add_record(row)
        github._add_teams(organisation)
        return github

    def _add_teams(self, organisation: "Organisation") -> None:
        """Add a team for each one with members at the organisation's end, below `engineering`."""
        name, created_at, _ = organisation.repositories[0]
        owner = self.account(name.partition("/")[0], "Organization")
        parent = self.add_team(owner, "Engineering", created_at)
        for team in organisation.teams:
            logins = [
                member.github_username
                for member in team.members
                if member.left_at is None and not member.github_username.endswith("[bot]")
            ]
            if logins:
                added = self.add_team(
                    owner,
                    team.name,
                    created_at,
                    slug=team.id,
                    description=team.description,
                    parent=parent,
                )
                for login in logins:
                    self.join_team(added, self.account(login))

    def add_record(self, row: records.PullRequestRecord) -> PullRequest:
        """Add a record's pull request with its accounts and its repository."""
        repository = self.find_repository(row["repository"])
        if repository is None:
            repository = self.create_repository(
                row["repository"], row["created_at"], id=row.get("repository_id")
            )
        author = self._account_of(row["author"], row.get("author_id"), row.get("author_type"))
        merger = self._account_of(
            row["merged_by"], row.get("merged_by_id"), row.get("merged_by_type")
        )
        pull_request = self.add_pull_request(
            repository,
            row["created_at"],
            author,
            id=row.get("id"),
            number=row["number"],
            title=row["title"],
            updated_at=row["updated_at"],
            state=row["state"],
            is_draft=row.get("is_draft", False),
            closed_at=row["closed_at"],
            merged_at=row["merged_at"],
            merged_by=merger,
            merge_commit_oid=row["merge_commit_sha"],
            base_ref_name=row["base_ref"],
            head_ref_name=row["head_ref"],
            first_commit_at=row["first_commit_at"],
            commit_count=row["commits"] or 0,
            additions=row.get("additions", 0),
            deletions=row.get("deletions", 0),
            changed_files=row.get("changed_files", 0),
            labels=row.get("labels", []),
            body=row.get("body", ""),
            head_oid=row.get("head_sha"),
        )
        pull_request.reviews = [
            self._review(position, review) for position, review in enumerate(row["reviews"], 1)
        ]
        pull_request.draft_events = [
            DraftEvent(
                event["id"], position, records.EVENT_TYPES[event["event"]], event["created_at"]
            )
            for position, event in enumerate(row.get("draft_events", []), 1)
        ]
        return pull_request

    def _review(self, position: int, row: records.ReviewRecord) -> Review:
        author = self._account_of(row["author"], row.get("author_id"), row.get("author_type"))
        return Review(row["id"], position, author, row["state"], row["submitted_at"])

    def _account_of(self, login: str | None, id: str | None, type: str | None) -> Account | None:
        return None if login is None else self.account(login, type or "User", id)

    def records(self) -> Iterator[records.PullRequestRecord]:
        """Yield the current pull requests as records, for tests to compare with."""
        with self.lock:
            for repository in self._repositories.values():
                for number in sorted(repository.by_number):
                    yield records.dump(repository.by_number[number])

    def repositories(self, owner: str | None = None) -> list[Repository]:
        """Return the existing repositories in the order of their creation."""
        with self.lock:
            return [
                repository
                for repository in self._repositories.values()
                if owner is None or repository.owner.login.lower() == owner.lower()
            ]

    def find_repository(self, name_with_owner: str) -> Repository | None:
        """Find it by its current or a former name, ignoring case."""
        return self._names.get(name_with_owner.lower())

    def repository(self, name_with_owner: str) -> Repository:
        """Find it like `find_repository`; raise `KeyError` if there is none."""
        return self._names[name_with_owner.lower()]

    def pull_request(self, name_with_owner: str, number: int) -> PullRequest:
        return self.repository(name_with_owner).by_number[number]

    def node(self, id: str) -> Any:
        stores = (self._pull_requests, self._repositories, self._accounts, self._delivery_nodes)
        found: Any = next((store[id] for store in (*stores, self._teams) if id in store), None)
        return None if isinstance(found, Account) and found.is_deleted else found

    def find_account(self, login: str) -> Account | None:
        return self._logins.get(login.lower())

    def account(self, login: str, type: str = "User", id: str | None = None) -> Account:
        """Return the account of that login or id; create it if needed. Logins ignore case."""
        with self.lock:
            known = self._accounts.get(id) if id else self._logins.get(login.lower())
            if known is None:
                id = id or node_id(ACCOUNT_PREFIXES.get(type, "U"), login.lower())
                known = self._accounts[id] = Account(id, login, type)
                self._logins[login.lower()] = known
            return known

    def create_repository(
        self,
        name_with_owner: str,
        at: datetime | str,
        *,
        owner_type: str = "Organization",
        id: str | None = None,
    ) -> Repository:
        """Create an empty repository; it takes over the former name of a renamed one."""
        owner_login, _, name = name_with_owner.partition("/")
        with self.lock:
            id = id or node_id("R", name_with_owner.lower())
            while id in self._repository_ids:
                id = node_id("R", id)
            self._repository_ids.add(id)
            owner = self.account(owner_login, owner_type)
            repository = Repository(id, owner, name, instant(at))
            self._repositories[id] = repository
            self._names[name_with_owner.lower()] = repository
            return repository

    def rename_repository(self, repository: Repository, name_with_owner: str) -> None:
        """Rename it or transfer it to another owner; the old name still resolves."""
        owner_login, _, name = name_with_owner.partition("/")
        with self.lock:
            repository.owner = self.account(owner_login, "Organization")
            repository.name = name
            self._names[name_with_owner.lower()] = repository

    def delete_repository(self, repository: Repository) -> None:
        with self.lock:
            for pull_request in list(repository.by_number.values()):
                self.delete_pull_request(pull_request)
            for held in (repository.deployments, repository.releases, repository.issues):
                for key in held:
                    del self._delivery_nodes[key]
            for ref in repository.tags.values():
                del self._delivery_nodes[ref.id]
            del self._repositories[repository.id]
            for name in [name for name, known in self._names.items() if known is repository]:
                del self._names[name]

    def block_repository(self, repository: Repository, message: str | None = SAML) -> None:
        """Refuse access to it with FORBIDDEN and this message; None allows access again."""
        repository.blocked = message

    def add_pull_request(
        self,
        repository: Repository,
        at: datetime | str,
        author: str | Account | None,
        **fields: Any,
    ) -> PullRequest:
        """Open a pull request; `fields` are attributes of `demo.model.PullRequest`."""
        with self.lock:
            number = fields.pop("number", repository.last_number + 1)
            opened = instant(at)
            pull_request = PullRequest(
                fields.pop("id", None) or node_id("PR", repository.id, number),
                repository,
                number,
                fields.pop("title", f"Pull request {number}"),
                self._actor(author),
                opened,
                fields.pop("updated_at", opened),
                **fields,
            )
            repository.add(pull_request)
            self._pull_requests[pull_request.id] = pull_request
            return pull_request

    def delete_pull_request(self, pull_request: PullRequest) -> None:
        """Remove it without an event or `updatedAt`, as GitHub does for spam accounts."""
        with self.lock:
            pull_request.repository.remove(pull_request)
            del self._pull_requests[pull_request.id]

    def edit(
        self, pull_request: PullRequest, at: datetime | str | None, **fields: Any
    ) -> PullRequest:
        """Set attributes; with `at` None, `updatedAt` stays, as in some changes on GitHub."""
        with self.lock:
            for name, value in fields.items():
                if not hasattr(pull_request, name):
                    raise AttributeError(f"a pull request has no attribute {name!r}")
                setattr(pull_request, name, value)
            if at is not None:
                pull_request.repository.touch(pull_request, instant(at))
        return pull_request

    def merge(
        self, pull_request: PullRequest, at: datetime | str, by: str | Account | None = None
    ) -> PullRequest:
        done = instant(at)
        return self.edit(
            pull_request,
            at,
            state="MERGED",
            is_draft=False,
            merged_at=done,
            closed_at=done,
            merged_by=self._actor(by) if by is not None else pull_request.author,
            merge_commit_oid=sha1(pull_request.id, "merge", done),
        )

    def close(self, pull_request: PullRequest, at: datetime | str) -> PullRequest:
        return self.edit(pull_request, at, state="CLOSED", closed_at=instant(at))

    def reopen(self, pull_request: PullRequest, at: datetime | str) -> PullRequest:
        return self.edit(pull_request, at, state="OPEN", closed_at=None)

    def convert_to_draft(self, pull_request: PullRequest, at: datetime | str) -> DraftEvent:
        return self._draft_event(pull_request, at, "ConvertToDraftEvent")

    def ready_for_review(self, pull_request: PullRequest, at: datetime | str) -> DraftEvent:
        return self._draft_event(pull_request, at, "ReadyForReviewEvent")

    def _draft_event(self, pull_request: PullRequest, at: datetime | str, type: str) -> DraftEvent:
        with self.lock:
            position = _next_position(pull_request.draft_events)
            id = node_id("DE", pull_request.id, position)
            event = DraftEvent(id, position, type, instant(at))
            pull_request.draft_events.append(event)
            self.edit(pull_request, at, is_draft=type == "ConvertToDraftEvent")
            return event

    def add_review(
        self,
        pull_request: PullRequest,
        at: datetime | str | None,
        author: str | Account | None,
        state: str = "APPROVED",
    ) -> Review:
        """Add a review; with `at` None it is pending, and `updatedAt` stays."""
        with self.lock:
            position = _next_position(pull_request.reviews)
            id = node_id("PRR", pull_request.id, position)
            submitted_at = None if at is None else instant(at)
            state = "PENDING" if at is None else state
            review = Review(id, position, self._actor(author), state, submitted_at)
            pull_request.reviews.append(review)
            self.edit(pull_request, at)
            return review

    def delete_review(self, pull_request: PullRequest, review: Review) -> None:
        with self.lock:
            pull_request.reviews.remove(review)

    def rename_account(self, account: Account | str, login: str) -> Account:
        """Rename a login: it changes everywhere at once, without a new `updatedAt`."""
        with self.lock:
            renamed = self._logins[account.lower()] if isinstance(account, str) else account
            self._logins.pop(renamed.login.lower(), None)
            renamed.login = login
            self._logins[login.lower()] = renamed
            for repository in self.repositories(login):
                self._names[repository.name_with_owner.lower()] = repository
            return renamed

    def delete_account(self, account: Account | str) -> None:
        """Delete it: null wherever it was an author, reviewer or merger."""
        with self.lock:
            gone = self._logins[account.lower()] if isinstance(account, str) else account
            gone.is_deleted = True
            self._logins.pop(gone.login.lower(), None)

    def _actor(self, who: str | Account | None) -> Account | None:
        return self.account(who) if isinstance(who, str) else who


def _next_position(items: list[Review] | list[DraftEvent]) -> int:
    return items[-1].position + 1 if items else 1
