"""Finding the pull requests and commits that a pull request reverts."""

import pytest

from ingest.github.reverts import find_reverts

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("title", "body", "branch", "found"),
    [
        pytest.param("Add a button", "Closes #12", "button", None, id="no revert"),
        pytest.param('Revert "Add"', "Reverts acme/web#12", "revert-12-add", "#12", id="button"),
        pytest.param("Undo", "Reverts #12", "undo", "#12", id="body"),
        pytest.param("Undo", "Text.\r\n\r\n reverts #12.\r\n", "undo", "#12", id="line in body"),
        pytest.param("Undo", "Reverts #12, #13 and Acme/Web#14", "x", "#12 #13 #14", id="several"),
        pytest.param("Undo", "Reverts #12 because of #9", "undo", "#12", id="what follows"),
        pytest.param("Undo", "> Reverts #12", "undo", None, id="quoted"),
        pytest.param("Undo", "It reverts #12", "undo", None, id="in a sentence"),
        pytest.param("Undo", "Reverts acme/api#12", "undo", None, id="other repository"),
        pytest.param(
            "Undo", "Reverts https://github.com/acme/web/pull/12", "undo", "#12", id="address"
        ),
        pytest.param("Undo", f"This reverts commit {SHA}.", "undo", SHA, id="commit"),
        pytest.param(
            "Undo", f"Reverts #12\n\nThis reverts commit {SHA}.", "x", f"#12 {SHA}", id="both"
        ),
        pytest.param('Revert "Add a button (#12)"', "", "undo", "#12", id="title"),
        pytest.param('Revert "Revert "Add (#12)""', "", "undo", None, id="title of a second one"),
        pytest.param(
            'Revert "Revert "Add""',
            "Reverts acme/web#15",
            "revert-15-revert-12-add",
            "#15",
            id="revert of a revert",
        ),
        pytest.param("Undo", "", "revert-the-button", None, id="branch without a number"),
    ],
)
def test_reverts_are_found(title: str, body: str, branch: str, found: str | None) -> None:
    assert find_reverts("acme/web", title, body, branch) == found
