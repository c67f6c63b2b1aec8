from __future__ import annotations

from typing import Any

import pytest

from hot_translator.expression import Reference
from hot_translator.members import (
    Batching,
    indexed_names,
    removed_names,
    scaled_names,
    scaled_size,
    short_id,
    with_index,
    without_nulls,
)


def test_names_skip_what_was_removed() -> None:
    assert indexed_names(3, {"1", "7"}) == ["0", "2", "3"]
    assert indexed_names(0, set()) == []


@pytest.mark.parametrize(
    ("policies", "mode", "removed", "members", "expected"),
    [
        ([{"resource_list": ["a", 1]}], "append", {"x"}, None, {"a", "1", "x"}),
        ([{"resource_list": ["a", 1, "r2"]}], "append", {"x"}, {"1": "r1", "2": "r2"}, {"1", "2", "x"}),
        ([{"resource_list": ["x"]}], "update", {"x", "y"}, {}, {"x"}),
        ([], "update", {"x"}, {}, set()),
        ([{}, "odd", {"resource_list": None}], "append", {"x"}, {}, {"x"}),
        ([{"resource_list": ["same"]}], "append", set(), {"0": "same", "1": "same"}, {"0"}),
    ],
)
def test_removed_names(policies: Any, mode: str, removed: set[str], members: Any, expected: set[str]) -> None:
    assert removed_names(policies, mode, frozenset(removed), members) == expected


@pytest.mark.parametrize(
    ("size", "in_service", "total", "expected"),
    [(2, 0, 5, 2), (9, 0, 5, 5), (3, 3, 5, 2), (3, 4, 5, 1), (3, 9, 5, 1), (1, 0, 0, 1)],
)
def test_a_batch_leaves_enough_members_in_service(size: int, in_service: int, total: int, expected: int) -> None:
    assert Batching(size, in_service).at_once(total) == expected


@pytest.mark.parametrize("policy", [None, {}, "", []])
def test_without_a_policy_there_are_no_batches(policy: Any) -> None:
    assert Batching.of(policy) is None


def test_sizes_of_a_scaling_group() -> None:
    assert scaled_size(1, 5, None, None) == 1
    assert scaled_size(1, 5, 3, 4) == 3
    assert scaled_size(1, 5, None, 4) == 4
    assert scaled_size(1, 5, None, 9) == 5
    assert scaled_size(2, 5, None, 0) == 2


def test_names_of_a_scaling_group_stay_and_the_oldest_go() -> None:
    names = scaled_names("g", 3, [])
    assert len(set(names)) == 3
    assert scaled_names("g", 2, names) == names[1:]
    assert scaled_names("g", 0, names) == []
    longer = scaled_names("g", 5, names[1:])
    assert longer[:2] == names[1:]
    assert len(set(longer)) == 5


def test_short_ids_are_twelve_letters() -> None:
    assert len(short_id("a", "b")) == 12
    assert short_id("a", "b") != short_id("ab")


def test_the_index_goes_into_texts_but_not_into_keys_or_ids() -> None:
    reference = Reference("net")
    value = {"%index%": ["a%index%", 5, {"k": "%index%"}], "ref": reference}
    assert with_index(value, "%index%", "3") == {"%index%": ["a3", 5, {"k": "3"}], "ref": reference}


def test_nulls_are_dropped_from_properties_that_are_a_map() -> None:
    assert without_nulls({"a": None, "b": {"c": None}}) == {"b": {"c": None}}
    assert without_nulls("text") == "text"
