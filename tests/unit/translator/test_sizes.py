"""Values that share parts, double and grow are refused before anything walks over them."""

import json

import pytest

from hot_translator import Pseudo, ResolutionError, TranslationError, parse_template, translate
from hot_translator.budget import MAX_RESULT, Budget, BudgetExceeded, limited, measure
from hot_translator.catalogue.model import Constraint
from hot_translator.expression import Dynamic, Leaf
from hot_translator.functions.base import Failure
from hot_translator.limits import compile_check
from hot_translator.sizes import CONTAINER, ITEM, size_of

PSEUDO = Pseudo("web", "uid", "project", "RegionOne")


def translated(**sections):
    template = {"heat_template_version": "2021-04-16", **sections}
    return translate(parse_template(json.dumps(template)), pseudo=PSEUDO, files={"f": "x" * 500_000})


class Values:
    """Each OS::Heat::Value gives its property, as soon as that is resolved."""

    def __init__(self):
        self.known = {}

    def reference(self, name):
        return name

    def attribute(self, name, attribute):
        return self.known[name]

    def attributes(self, name):
        return {"value": self.known[name]}


def doubled(levels, start=1):
    value = [start]
    for _ in range(levels):
        value = [value, value]
    return value


def test_a_shared_part_counts_as_often_as_it_appears():
    part = {"key": "value"}
    assert size_of([part, part, part]) == CONTAINER + 3 * size_of(part)
    assert size_of(part) == CONTAINER + 2 * ITEM + 8


def test_the_size_of_what_doubles_is_known_at_once():
    assert size_of(doubled(150)) > 2**150


@pytest.mark.parametrize("value", [doubled(30), {"a": doubled(40)}, [{"k": doubled(60)}] * 2])
def test_what_doubles_is_refused(value):
    with pytest.raises(BudgetExceeded, match=f"larger than {MAX_RESULT} characters"):
        measure(value)


def test_what_is_nested_without_end_is_refused():
    deep = []
    for _ in range(5_000):
        deep = [deep]
    circle = []
    circle.append(circle)
    for value in (deep, circle, doubled(300)):
        with pytest.raises(BudgetExceeded, match="nested deeper than 200"):
            measure(value)


def test_a_number_that_python_would_not_write_is_refused():
    with pytest.raises(BudgetExceeded, match="4300 digits"):
        measure([10**5000])


PAIR = {"get_attr": ["{}", "value"]}


@pytest.mark.parametrize("form", [
    lambda previous: [previous, previous],
    lambda previous: {"a": previous, "b": previous},
    lambda previous: {"list_concat": [[previous], [previous]]},
    lambda previous: {"list_join": ["", [previous, previous]]},
    lambda previous: {"map_merge": [{"a": previous}, {"b": previous}]},
    lambda previous: {"if": [True, [previous, previous], 0]},
    lambda previous: {"yaql": {"expression": "[$.data, $.data]", "data": previous}},
])  # fmt: skip
def test_a_chain_of_values_that_double_ends_with_path_and_limit(form):
    resources = {"v0": {"type": "OS::Heat::Value", "properties": {"value": [1]}}}
    for number in range(1, 40):
        value = form({"get_attr": [f"v{number - 1}", "value"]})
        resources[f"v{number}"] = {"type": "OS::Heat::Value", "properties": {"value": value}}
    definitions = translated(resources=resources).definitions
    scope = Values()

    def resolve_all():
        for number in range(40):
            scope.known[f"v{number}"] = definitions[f"v{number}"].resolve(scope)["value"]

    with limited(Budget()), pytest.raises(ResolutionError) as refused:
        resolve_all()
    assert refused.value.path.startswith("resources.v")
    assert "characters" in refused.value.reason


@pytest.mark.parametrize("value", [
    {"contains": [PAIR, [PAIR]]}, {"filter": [[PAIR], [PAIR]]}, {"list_concat_unique": [[PAIR], [PAIR]]},
    {"list_join": ["", [PAIR]]}, {"str_replace": {"template": "a", "params": {"a": PAIR}}},
    {"map_replace": [{"a": PAIR}, {"keys": {"b": "c"}}]}, {"repeat": {"for_each": {"a": [PAIR]}, "template": "a"}},
    {"yaql": {"expression": "1", "data": PAIR}}, [PAIR, "x"], PAIR, {"digest": ["md5", PAIR]},
    {"list_concat": [PAIR, PAIR]}, {"map_merge": [{"a": PAIR}]},
])  # fmt: skip
def test_what_a_resource_gives_is_measured_before_anything_compares_or_writes_it(value):
    value = json.loads(json.dumps(value).replace("{}", "v"))
    translation = translated(
        resources={"v": {"type": "OS::Heat::Value", "properties": {"value": 1}}}, outputs={"o": {"value": value}}
    )
    scope = Values()
    scope.known["v"] = doubled(60)
    with pytest.raises(ResolutionError, match=r"^outputs\.o\.value.*larger than"):
        translation.outputs["o"].resolve(scope)


def test_what_was_read_is_measured_before_it_is_compared_with_what_was_read_last():
    translation = translated(resources={
        "v": {"type": "OS::Heat::Value", "properties": {"value": 1}},
        "w": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["v", "value", 0, 0]}}},
    })  # fmt: skip
    scope = Values()
    for _ in range(2):
        scope.known["v"] = doubled(60)
        with pytest.raises(ResolutionError, match=r"^resources\.w\.properties: .*larger than"):
            translation.definitions["w"].resolve(scope)


NUMBERS = [str(number) for number in range(100)]


@pytest.mark.parametrize("template", [[{}] * 1000, [[]] * 1000, {"a": {}, "b": [[], {}]}, [None] * 1000, [0] * 1000])
def test_a_repeat_of_what_is_empty_counts_each_part(template):
    repeat = {"repeat": {"for_each": {"%a%": NUMBERS, "%b%": NUMBERS}, "template": template}}
    if isinstance(template, dict):
        repeat["repeat"]["for_each"]["%c%"] = NUMBERS
    translation = translated(outputs={"o": {"value": repeat}})
    with pytest.raises(ResolutionError, match=r"^outputs\.o\.value\.repeat: .*the limit of one value"):
        translation.outputs["o"].resolve(Values())


@pytest.mark.parametrize("value", [
    {"str_split": ["a", {"get_file": "f"}]}, {"str_split": ["x", {"get_file": "f"}]},
    {"Fn::Select": ["0", {"list_join": ["", ["[", {"list_join": [",", ["{}"] * 400_000]}, "]"]]}]},
])  # fmt: skip
def test_texts_do_not_become_many_objects(value):
    section = {"heat_template_version": "2012-12-12"} if "Fn::Select" in value else {}
    resource = {"type": "OS::Heat::Value", "properties": {"value": value}}
    with pytest.raises(TranslationError):
        translated(resources={f"r{number}": resource for number in range(20 if section else 150)}, **section)


def test_a_text_with_the_index_is_made_once_a_member_and_counts_as_often():
    properties = {"value": {"list_join": ["", ["%index%", {"get_file": "f"}]]}}
    group = {"count": 5_000, "resource_def": {"type": "OS::Heat::Value", "properties": properties}}
    with pytest.raises(TranslationError, match=r"^resources\.g.*characters in all"):
        translated(resources={"g": {"type": "OS::Heat::ResourceGroup", "properties": group}})


@pytest.mark.parametrize("value", [
    {"filter": [[[n] for n in range(3_000)], [[-n - 1] for n in range(12_000)]]},
    {"list_concat_unique": [[[n] for n in range(12_000)]]},
    {"str_replace": {"template": "x" * 200_000, "params": {f"a{n}": "b" for n in range(20_000)}}},
])  # fmt: skip
def test_work_that_grows_with_the_square_ends_with_the_cpu_time(value):
    with limited(Budget(cpu=0.2)) as budget, pytest.raises(TranslationError, match=r"0\.2 s of CPU time"):
        translated(resources={"r": {"type": "OS::Heat::Value", "properties": {"value": value}}})
    assert budget.cpu_spent < 2.0


def test_unique_items_are_those_of_python_s_equality():
    items = [1, 1.0, True, "1", [1], [1.0], {"a": 1}, {"a": 1}, None, None]
    translation = translated(outputs={"o": {"value": {"list_concat_unique": [items]}}})
    assert translation.outputs["o"].resolve(Values()) == [1, "1", [1], {"a": 1}, None]


def test_calls_are_counted():
    outputs = {f"o{number}": {"value": {"str_split": [",", "a,b"]}} for number in range(50)}
    with limited(Budget(calls=20)):
        translation = translated(outputs=outputs)
    with pytest.raises(TranslationError, match="more than 20 times"):
        translation.outputs["o49"].resolve(Values())


def test_a_budget_is_shared_by_all_that_runs_within():
    with limited(Budget(size=10_000)) as budget, limited() as inner:
        assert inner is budget
        measure("x" * 5_000)
        with pytest.raises(BudgetExceeded, match="more than 10000 characters in all"):
            measure("x" * 5_000)
    measure("x" * 1_000_000)


def test_every_compiled_value_shows_its_parts_to_those_who_measure():
    def kinds(kind):
        return {kind}.union(*(kinds(one) for one in kind.__subclasses__()))

    ours = {kind for kind in kinds(Dynamic) if kind.__module__.startswith("hot_translator.")}
    without = {kind for kind in ours if "parts" not in kind.__dict__ and not issubclass(kind, Leaf)}
    assert without == {Failure}


@pytest.mark.parametrize("allowed", [[1, 2], ["a", 1.5, None], [[1], {"a": 1}]])
def test_allowed_values_are_looked_up_and_not_searched(allowed):
    check = compile_check(Constraint("allowed_values", allowed), "list")
    assert check(allowed * 3) is None
    assert "not an allowed value" in check([*allowed, "other"])
