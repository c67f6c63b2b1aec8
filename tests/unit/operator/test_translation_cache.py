"""Translations are made once, and kept within bounds of bytes and namespaces."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from hot_translator import GroupState, Pseudo, TranslationError, budget
from kiln.api.v1alpha1 import Key
from kiln.clouds.fair_executor import FairThreadPoolExecutor
from kiln.stack import translation_cache
from kiln.stack.inputs import Inputs
from kiln.stack.translation_cache import TranslationCache

PSEUDO = Pseudo("web", "uid", "project", "RegionOne")


def given(count=1, **changed):
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {
            "g": {
                "type": "OS::Heat::ResourceGroup",
                "properties": {
                    "count": count,
                    "resource_def": {"type": "OS::Heat::Value", "properties": {"value": "x"}},
                },
            }
        },
    }
    return Inputs(**{"template": template, "environments": (), "files": {}, "parameters": {}, **changed})


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as made:
        yield made


async def test_equal_inputs_are_translated_once(executor):
    cache = TranslationCache(executor)
    first = await cache.get(Key("ns", "web"), given(), PSEUDO, {})
    assert await cache.get(Key("ns", "web"), given(), PSEUDO, {}) is first
    assert await cache.get(Key("ns", "web"), given(2), PSEUDO, {}) is not first
    assert await cache.get(Key("other", "web"), given(), PSEUDO, {}) is not first


async def test_equal_requests_at_one_time_share_one_translation(executor, monkeypatch):
    made = []
    translate = translation_cache.translate
    monkeypatch.setattr(translation_cache, "translate", lambda *a, **k: (made.append(1), translate(*a, **k))[1])
    cache = TranslationCache(executor)
    found = await asyncio.gather(*(cache.get(Key("ns", "web"), given(), PSEUDO, {}) for _ in range(10)))
    assert all(one is found[0] for one in found)
    assert made == [1]


async def test_one_that_waits_no_more_costs_the_others_nothing(executor):
    cache = TranslationCache(executor)
    tasks = [asyncio.create_task(cache.get(Key("ns", "web"), given(), PSEUDO, {})) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1] is found[2]
    assert not cache._running


async def test_an_error_goes_to_all_that_wait_and_is_not_kept(executor):
    cache = TranslationCache(executor)
    wrong = given(template="heat_template_version: 1999-01-01")
    found = await asyncio.gather(
        *(cache.get(Key("ns", "web"), wrong, PSEUDO, {}) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, TranslationError) for one in found)
    assert (cache.size, cache._running) == (0, {})


async def test_a_namespace_has_its_share_and_all_have_the_capacity(executor):
    cache = TranslationCache(executor, capacity=500_000, share=200_000)
    quiet = await cache.get(Key("quiet", "web"), given(), PSEUDO, {})
    for number in range(30):
        await cache.get(Key("loud", "web"), given(20 + number), PSEUDO, {})
        assert cache._used["loud"] <= 200_000
    assert await cache.get(Key("quiet", "web"), given(), PSEUDO, {}) is quiet
    for number in range(8):
        await cache.get(Key(f"ns-{number}", "web"), given(40), PSEUDO, {})
        assert cache.size <= 500_000
    assert await cache.get(Key("quiet", "web"), given(), PSEUDO, {}) is quiet


async def test_what_is_larger_than_a_share_is_not_kept(executor):
    cache = TranslationCache(executor, share=100_000)
    found = await cache.get(Key("ns", "web"), given(200), PSEUDO, {})
    assert len(found.definitions) == 201
    assert cache.size == 0


async def test_a_stack_that_is_gone_leaves_nothing(executor):
    cache = TranslationCache(executor)
    for number in range(3):
        await cache.get(Key("ns", "web"), given(number), PSEUDO, {})
    await cache.get(Key("ns", "db"), given(), PSEUDO, {})
    used = cache.size
    cache.forget(Key("ns", "web"))
    assert 0 < cache.size < used
    cache.forget(Key("ns", "db"))
    assert (cache.size, cache._used, cache._entries) == (0, {}, {})


async def test_what_is_known_of_groups_is_part_of_what_a_translation_depends_on(executor):
    cache = TranslationCache(executor)
    first = await cache.get(Key("ns", "web"), given(), PSEUDO, {"g": GroupState({"0": "id"})})
    assert await cache.get(Key("ns", "web"), given(), PSEUDO, {"g": GroupState({"0": "id"})}) is first
    for other in (
        GroupState({"0": "other"}),
        GroupState({"0": "id"}, frozenset({"1"})),
        GroupState({"0": "id"}, desired_size=2),
    ):
        assert await cache.get(Key("ns", "web"), given(), PSEUDO, {"g": other}) is not first


async def test_each_translation_has_a_budget_of_its_own_and_works_for_its_tenant(monkeypatch):
    seen = []
    translate = translation_cache.translate

    def looked_at(*arguments, **named):
        seen.append((budget.tenant.get(), budget.remaining()))
        return translate(*arguments, **named)

    monkeypatch.setattr(translation_cache, "translate", looked_at)
    budget.tenant.set("ns")
    executor = FairThreadPoolExecutor(2, 1, "translator")
    with budget.limited() as outer:
        await TranslationCache(executor).get(Key("ns", "web"), given(), PSEUDO, {})
    executor.shutdown()
    assert seen[0][0] == "ns"
    assert seen[0][1] is not outer


async def test_the_size_is_that_of_what_is_written_out(executor):
    cache = TranslationCache(executor)
    small = translation_cache.estimated_size(await cache.get(Key("ns", "web"), given(1), PSEUDO, {}))
    large = translation_cache.estimated_size(await cache.get(Key("ns", "web"), given(1000), PSEUDO, {}))
    assert large > 300 * small
