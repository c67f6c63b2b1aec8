"""No template makes a translation take gigabytes or minutes, however many calls it is made of."""

import time
import tracemalloc

import pytest

from hot_translator import Pseudo, TranslationError, parse_template, translate
from hot_translator.budget import Budget, BudgetExceeded, limited
from hot_translator.functions.base import timed

HEAD = "heat_template_version: 2021-04-16\n"
PSEUDO = Pseudo("web", "uid", "project", "RegionOne")
FILES = {"f": "x" * 1_000_000}


def values(*given):
    lines = (f"  r{number}: {{type: OS::Heat::Value, properties: {{value: {value}}}}}\n" for number, value in given)
    return HEAD + "resources:\n" + "".join(lines)


def refused(text):
    tracemalloc.start()
    try:
        with pytest.raises(TranslationError) as found:
            translate(parse_template(text), files=FILES, pseudo=PSEUDO)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return found.value, peak


@pytest.mark.parametrize("call", [
    "{list_join: ['', [{get_file: f}, {get_file: f}, {get_file: f}]]}",
    "{str_replace: {template: aaa, params: {a: {get_file: f}}}}",
    "{repeat: {for_each: {'%a': [{get_file: f}]}, template: ['%a', '%a', '%a']}}",
])  # fmt: skip
def test_calls_that_are_small_each_may_not_make_gigabytes_together(call):
    error, peak = refused(values(*((number, call) for number in range(150))))
    assert "characters in all" in str(error)
    assert peak < 200_000_000


@pytest.mark.parametrize("call", [
    "{str_replace: {template: {get_file: f}, params: {x: {get_file: f}}}}",
    "{list_join: [{get_file: f}, [a, b, c, d, e, f, g, h, i, j, k, l]]}",
    "{repeat: {for_each: {'': [{get_file: f}]}, template: {get_file: f}}}",
])  # fmt: skip
def test_what_would_be_too_large_is_not_even_made(call):
    error, peak = refused(values((0, call)))
    assert "the limit of one value" in str(error)
    assert peak < 50_000_000


def test_many_catastrophic_patterns_do_not_take_minutes():
    lines = "".join(
        f'  p{number}: {{type: string, default: "{"a" * 40}!", constraints: [{{allowed_pattern: "(a|aa)+$"}}]}}\n'
        for number in range(60)
    )
    with limited(Budget(cpu=0.5)), pytest.raises(TranslationError) as found:
        parse_template(f"{HEAD}parameters:\n{lines}resources: {{a: {{type: OS::Heat::None}}}}\n")
    assert [("the limit of 0.5 s of CPU" in str(problem)) for problem in found.value.problems] == [False] + 59 * [True]


def test_thousands_of_mistakes_are_all_told_though_not_all_with_a_hint():
    lines = "".join(
        f"  r{number}: {{type: OS::Nova::Servr, depends_on: q{number}, properties: {{imag: x}}}}\n"
        for number in range(1000)
    )
    error, _ = refused(f"{HEAD}resources:\n{lines}")
    assert len(error.problems) == 2000
    assert all(problem.line for problem in error.problems)
    assert "OS::Nova::Server" in str(error.problems[0])


def test_functions_that_are_short_each_use_up_the_cpu_time_together():
    """Each takes less than is read at one time, also where each is evaluated by itself."""
    budget = Budget(cpu=0.2)

    def work(_):
        sum(range(2_000))

    begun = time.thread_time()
    with pytest.raises(BudgetExceeded, match=r"more than 0\.2 s of CPU"):  # noqa: PT012 - which of them does not matter
        while time.thread_time() < begun + 5:
            with limited(budget):
                budget.spend_call()
                timed(work, None)
    assert 0.2 <= budget.cpu_spent < 1


def test_what_the_clock_says_is_not_taken_where_the_thread_did_not_work():
    with limited(Budget()) as budget:
        timed(time.sleep, 0.1)
    assert budget.cpu_spent < 0.05


def test_each_translation_has_a_budget_of_its_own():
    text = values((0, "{list_join: ['', [{get_file: f}, {get_file: f}]]}"))
    for _ in range(40):
        translate(parse_template(text), files=FILES, pseudo=PSEUDO)


@pytest.mark.parametrize("group", [
    "ResourceGroup, properties: {count: 49990, resource_def: {type: OS::Heat::None}}",
    "AutoScalingGroup, properties: {min_size: 49990, max_size: 90000, resource: {type: OS::Heat::None}}",
])  # fmt: skip
def test_a_group_of_too_many_members_is_refused_before_any_is_made(group):
    error, peak = refused(f"{HEAD}resources: {{g: {{type: OS::Heat::{group}}}}}\n")
    assert "49990 members are more than the 20000 resources that a stack may have" in str(error)
    assert error.path.startswith("resources.g.properties.")
    assert peak < 5_000_000


@pytest.mark.parametrize("edge", ["depends_on: [a]", "get_attr"])
def test_members_that_require_too_many_others_are_refused_with_path_and_limit(edge):
    value = "{get_attr: [a, refs]}" if edge == "get_attr" else "x"
    more = "" if edge == "get_attr" else f", {edge}"
    members = "{count: 1100, resource_def: {type: OS::Heat::Value, properties: {value: %s}}}"
    group = "{type: OS::Heat::ResourceGroup, properties: %s%s}"
    text = f"{HEAD}resources:\n  a: {group % (members % 'x', '')}\n  b: {group % (members % value, more)}\n"
    error, peak = refused(text)
    assert error.path.startswith("resources.b")
    assert "require each other more than 1000000 times in all" in str(error)
    assert peak < 200_000_000


def test_members_with_lists_of_all_others_are_refused_with_path_and_limit():
    member = "{count: 4000, resource_def: {type: OS::Heat::Value, properties: {value: %s}}}"
    group = "{type: OS::Heat::ResourceGroup, properties: %s}"
    others = "{get_attr: [a, refs]}"
    error, peak = refused(f"{HEAD}resources:\n  a: {group % (member % 'x')}\n  b: {group % (member % others)}\n")
    assert error.path.startswith("resources.b")
    assert "the functions of the template make more than 64000000 characters in all" in str(error)
    assert peak < 200_000_000
