"""Text becomes a typed setting, or an error that says which and why."""

from dataclasses import dataclass

import pytest

from fuseflow.errors import UsageError
from fuseflow.models.settings import Domain, parameters_of, read_settings, setting


@dataclass(frozen=True, slots=True)
class _Settings:
    width: int = setting(4, "how wide", Domain("an even integer", lambda value: value % 2 == 0))
    share: float = setting(0.5, "how much")
    deep: bool = setting(False, "whether to go deep")
    path: str = setting("here", "where")
    count: int | None = setting(None, "how many", shown="as many as needed")


def test_texts_become_values_of_the_declared_types() -> None:
    texts = {"width": "8", "share": "2e-1", "deep": "yes", "path": "a b", "count": "3"}
    assert read_settings(_Settings, texts, "it") == _Settings(8, 0.2, True, "a b", 3)


def test_left_out_settings_keep_their_defaults() -> None:
    assert read_settings(_Settings, {}, "it") == _Settings()


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r'U102.*it has no setting "widht".*"width"'):
        read_settings(_Settings, {"widht": "8"}, "it")


def test_unknown_key_like_nothing_lists_all() -> None:
    with pytest.raises(UsageError, match="width, share, deep, path, count"):
        read_settings(_Settings, {"zzz": "8"}, "it")


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("width", "3", "an even integer"),
        ("width", "wide", "an even integer"),
        ("width", "4.0", "an even integer"),
        ("share", "much", "a number"),
        ("share", "nan", "a number"),
        ("share", "inf", "a number"),
        ("deep", "maybe", "true or false"),
        ("count", "", "an integer"),
    ],
)
def test_bad_value_is_named_with_what_is_expected(key: str, text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=f'U103.*{key}="{text}" must be {expected}') as caught:
        read_settings(_Settings, {key: text}, "it")
    assert caught.value.findings[0].where.field == key


def test_parameters_follow_the_fields() -> None:
    parameters = parameters_of(_Settings)
    assert [each.name for each in parameters] == ["width", "share", "deep", "path", "count"]
    assert [each.type for each in parameters] == [int, float, bool, str, int]
    assert [each.default for each in parameters][-1] == "as many as needed"
