import pytest

from dora.plurals import counted


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 people"), (1, "1 person"), (2, "2 people"), (1_000, "1,000 people")],
)
def test_only_the_number_one_takes_the_singular(number: int, said: str) -> None:
    assert counted(number, "person", "people") == said


def test_default_plural_adds_an_s() -> None:
    assert [counted(number, "team") for number in (1, 21)] == ["1 team", "21 teams"]
