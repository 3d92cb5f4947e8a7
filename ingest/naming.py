"""Names of nested tables: the parent in the singular, as in `pull_request_reviews`.

dlt's default would be `pull_requests__reviews`, which readers of `raw` do not expect.
"""

from dlt.common.normalizers.naming.snake_case import NamingConvention as SnakeCase

_ONE_ROW_OF = {
    "pull_requests": "pull_request_",
    "deployments": "deployment_",
    "teams": "team_",
}


class NamingConvention(SnakeCase):
    """dlt's snake case, except for tables nested in `pull_requests`, `deployments` and `teams`."""

    def make_path(self, *identifiers: str) -> str:
        """Join a path of table names: `pull_requests`, `reviews` → `pull_request_reviews`."""
        if len(identifiers) > 1 and identifiers[0] in _ONE_ROW_OF:
            nested = _ONE_ROW_OF[identifiers[0]] + identifiers[1]
            return super().make_path(nested, *identifiers[2:])
        return super().make_path(*identifiers)
