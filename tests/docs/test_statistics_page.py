"""The page of statistics is the one that the table makes."""

from tools.update_statistics import PAGE, statistics_page


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == statistics_page(), "run: python -m tools.update_statistics"
