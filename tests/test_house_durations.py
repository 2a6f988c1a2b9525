"""Which tests the stage before a commit leaves out."""

from hypothesis import given
from hypothesis import strategies as st

from house_durations import LIST, too_slow

seconds = st.dictionaries(st.text(min_size=1), st.floats(0, 100), max_size=30)


@given(taken=seconds, budget=st.floats(0, 200))
def test_the_quickest_fit_into_the_budget(taken: dict[str, float], budget: float) -> None:
    """What is left out is slower than all that stays; what stays fits, and one more would not."""
    slow = too_slow(taken, budget)
    stays = [taken[name] for name in taken.keys() - slow]
    assert sum(stays) <= budget + 1e-9
    if slow:
        quickest = min(taken[name] for name in slow)
        assert quickest >= max(stays, default=0.0)
        assert sum(stays) + quickest > budget - 1e-9


def test_the_list_names_tests_that_exist() -> None:
    """A renamed test does not slip into the fast stage under its new name unseen."""
    root = LIST.parents[1]
    for name in LIST.read_text().split():
        file, test = name.split("::")[:2]
        assert test in (root / file).read_text(), name
