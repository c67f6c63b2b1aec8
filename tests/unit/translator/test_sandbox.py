"""Expressions of yaql run in processes that are ended when they take too much; nobody else notices."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hot_translator import EvaluationFailed, Pseudo, ResolutionError, TranslationError, parse_template, translate
from hot_translator.budget import Budget, BudgetExceeded, limited, remaining, tenant
from hot_translator.sandbox import pool, wire
from hot_translator.sandbox.pool import Pool, RefusedError, SandboxError
from hot_translator.sandbox.turns import Turns

PSEUDO = Pseudo("web", "uid", "project", "RegionOne")


class Scope:
    """Resources are there; each attribute is the same text."""

    def reference(self, name):
        return f"id-of-{name}"

    def attribute(self, name, attribute):
        return "x"

    def attributes(self, name):
        return {"value": "x"}


def output(expression, data=None):
    value = {"yaql": {"expression": expression, "data": {} if data is None else data}}
    template = {"heat_template_version": "2021-04-16", "outputs": {"o": {"value": value}}}
    return translate(parse_template(template), pseudo=PSEUDO).outputs["o"].resolve(Scope())


@pytest.fixture
def quick(monkeypatch):
    """A short limit, so that what would take for ever is refused soon."""
    monkeypatch.setattr(pool, "CPU", 0.3)


def dag(levels):
    return f"range({levels}).aggregate([$1, $1], 1)"


DOUBLING = {
    "equality": f"[{dag(60)}] = [{dag(60)}]", "inequality": f"[{dag(60)}] != [{dag(60)}]",
    "in": f"{dag(60)} in [{dag(60)}]", "contains": f"[{dag(60)}].contains({dag(60)})",
    "a set": f"[{dag(60)}].toSet().len()", "distinct": f"[{dag(60)}].distinct().len()",
    "indexOf": f"[{dag(60)}].indexOf({dag(60)})", "the key of a dict": f"dict([[{dag(60)}, 1]]).len()",
    "a text": f"str({dag(60)}).len()", "flatten": f"{dag(60)}.flatten().len()", "the result": dag(60),
    "a map": "range(60).aggregate({a => $1, b => $1}, 1)", "groupBy": f"[{dag(60)}].groupBy($).len()",
    "accumulate": "[range(60).accumulate([$1, $1], 1)].flatten().len()", "keys": f"dict({dag(60)} => 1).keys().len()",
    "a map's equality": "[range(60).aggregate({a => $1, b => $1}, 1)] = [range(60).aggregate({a => $1, b => $1}, 1)]",
    "a join of texts": f"[{dag(60)}].select(str($)).join('')", "union": f"[{dag(60)}].toSet().union([1].toSet()).len()",
}  # fmt: skip

GROWING = {
    "a list that is repeated": ("([1] * 1000000000).len()", {}),
    "a text that is repeated": ("('x' * 1000000000).len()", {}),
    "a range": ("range(1000000000).len()", {}),
    "a range as a set": ("range(1000000000).toSet().len()", {}),
    "texts that double": ("range(40).aggregate($1 + $1, 'x').len()", {}),
    "lists that double": ("range(40).aggregate($1 + $1, [1]).len()", {}),
    "numbers that double": ("range(60).aggregate($1 * $1, 12345678901234567890) > 0", {}),
    "joins": ("range(40).aggregate([$1, $1].join(''), 'x').len()", {}),
    "replacements": ("$.data.a.replace('a', $.data.b).len()", {"a": "a" * 200, "b": "b" * 500_000}),
    "replacements of a pattern": ("$.data.a.replace(regex('a'), $.data.b).len()", {"a": "a" * 200, "b": "b" * 500_000}),
    "a power": ("str(pow(2, 79000)).len()", {}),
    "a function that calls itself": ("def(f, f($) + f($)) -> f(1)", {}),
    "loops in loops": ("range(190).select(range(190).select(range(190).sum()).sum()).sum()", {}),
    "a catastrophic pattern": (r"regex('^(a|aa)+$').matches($.data)", "a" * 60 + "!"),
    "a catastrophic search": (r"$.data =~ '^(a|aa)+$'", "a" * 60 + "!"),
    "a catastrophic split": (r"regex('(a|aa)+$').split($.data)", "a" * 60 + "!"),
}  # fmt: skip


@pytest.mark.parametrize("expression", DOUBLING.values(), ids=DOUBLING)
def test_shared_parts_that_double_are_refused_with_path_and_limit(quick, expression):
    with pytest.raises(ResolutionError, match=r"^outputs\.o\.value\.yaql: yaql: ") as refused:
        output(expression)
    assert any(limit in str(refused.value) for limit in ("CPU time", "MB of memory", "characters", "too much memory"))


@pytest.mark.parametrize(("expression", "data"), GROWING.values(), ids=GROWING)
def test_what_grows_or_does_not_end_is_refused_with_its_path(quick, expression, data):
    with pytest.raises(ResolutionError, match=r"^outputs\.o\.value\.yaql: yaql: "):
        output(expression, data)


def test_memory_is_limited(monkeypatch):
    monkeypatch.setattr(pool, "CPU", 20.0)
    with pytest.raises(ResolutionError, match="128 MB of memory"):
        output("([1] * 1000000000).len()")


def test_time_is_limited_where_the_cpu_time_is_not_used_up(monkeypatch):
    monkeypatch.setattr(pool, "CPU", 60.0)
    monkeypatch.setattr(pool, "WALL", 0.5)
    told = r"^outputs\.o\.value\.yaql: yaql: .* did not answer within 0\.5 s"
    with limited(Budget(cpu=100.0)), pytest.raises(EvaluationFailed, match=told):
        output(DOUBLING["equality"])


def test_a_worker_that_was_ended_leaves_the_next_call_as_it_is(quick):
    for _ in range(3):
        with pytest.raises(ResolutionError):
            output(DOUBLING["equality"])
        assert output("$.data + 1", 1) == 2


def test_other_tenants_are_served_while_one_uses_up_its_time(monkeypatch):
    monkeypatch.setattr(pool, "CPU", 2.0)
    ended = []

    def hostile():
        tenant.set("hostile")
        with pytest.raises(RefusedError, match="CPU time"):
            pool.request({"expression": DOUBLING["equality"], "data": 0})
        ended.append(True)

    threads = [threading.Thread(target=hostile) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert [pool.request({"expression": "$.data", "data": number}) for number in range(20)] == list(range(20))
    assert not ended
    for thread in threads:
        thread.join()
    assert len(ended) == 3


def test_nothing_is_evaluated_when_no_time_is_left():
    budget = Budget(cpu=0.5)
    budget.cpu_spent = 0.5
    with limited(budget), pytest.raises(BudgetExceeded, match=r"0\.5 s of CPU time in all"):
        pool.request({"expression": "1", "data": 0})


def test_many_expressions_of_one_template_have_one_budget(quick):
    outputs = {f"o{number}": {"value": {"yaql": {"expression": DOUBLING["in"], "data": {}}}} for number in range(20)}
    with limited(Budget(cpu=1.0)) as budget:
        translation = translate(
            parse_template({"heat_template_version": "2021-04-16", "outputs": outputs}), pseudo=PSEUDO
        )
    assert budget.cpu_spent < 2.0
    reasons = []
    for one in translation.outputs.values():
        with pytest.raises(TranslationError) as refused:
            one.resolve(Scope())
        reasons.append(refused.value.reason)
    assert "more than 1 s of CPU time in all" in reasons[-1]


def test_what_depends_on_resources_has_the_budget_of_the_reconciliation(quick):
    value = {"yaql": {"expression": DOUBLING["in"], "data": {"get_attr": ["v", "value"]}}}
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {"v": {"type": "OS::Heat::Value", "properties": {"value": "x"}}},
        "outputs": {f"o{number}": {"value": value} for number in range(20)},
    }
    translation = translate(parse_template(template), pseudo=PSEUDO)
    with limited(Budget(cpu=0.5)) as budget:
        for one in translation.outputs.values():
            with pytest.raises(ResolutionError):
                one.resolve(Scope())
    assert budget.cpu_spent < 1.5


@pytest.mark.parametrize("data", [
    [None], True, 5, -1.5, float("inf"), "text", "\ud800 and \U0001f600", {"a": [1, {"b": None}]}, [[], {}],
    {1: "one", None: "null", 2.5: "x", "1": "text"}, {"\0pairs": [[1, 2]]}, {True: {2: 3}},
])  # fmt: skip
def test_data_comes_back_as_it_went(data):
    assert output("$.data", data) == data
    assert wire.load(wire.dump(data)) == data


def test_a_worker_has_nothing_of_the_environment_and_writes_no_files():
    assert pool.request({"expression": "1", "data": 0}) == 1
    environment = open(f"/proc/{pool._pool._server._process.pid}/environ").read()  # noqa: PTH123, SIM115
    assert {entry.partition("=")[0] for entry in environment.split("\0") if entry} == {"PYTHONPATH"}


def test_a_server_that_was_killed_is_replaced():
    assert output("$.data", 1) == 1
    os.kill(pool._pool._server._process.pid, signal.SIGKILL)
    pool._pool._server._process.wait()
    for number in range(3):
        pool._pool._idle.clear()
        assert output("$.data", number) == number


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_worker_that_was_killed_costs_no_answer(number):
    assert output("$.data", 1) == 1
    os.kill(pool._pool._idle[-1].pid, number)
    assert output("$.data", 1) == 1


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGKILL, SandboxError), (signal.SIGSEGV, RefusedError), (signal.SIGABRT, RefusedError)],
)
def test_an_expression_at_which_two_workers_die_is_refused_unless_they_were_killed(monkeypatch, number, error):
    fresh, take = Pool(), Pool._take
    asked = []

    def dying(self):
        worker = take(self)
        os.kill(worker.pid, number)
        asked.append(worker.pid)
        return worker

    monkeypatch.setattr(Pool, "_take", dying)
    try:
        with pytest.raises(error):
            fresh.request({"expression": "1", "data": 0})
        assert len(set(asked)) == 2
        monkeypatch.undo()
        assert fresh.request({"expression": "1", "data": 0}) == 1
    finally:
        fresh.close()


@pytest.mark.parametrize("known", [True, False])
def test_a_function_whose_workers_are_killed_is_named_with_path_and_limit_and_tried_again(monkeypatch, known):
    fresh, take = Pool(), Pool._take
    monkeypatch.setattr(pool, "_pool", fresh)
    data = "1" if known else {"get_attr": ["v", "value"]}
    template = {
        "heat_template_version": "2021-04-16",
        "resources": {"v": {"type": "OS::Heat::Value", "properties": {"value": 1}}},
        "outputs": {"o": {"value": {"yaql": {"expression": "$.data", "data": data}}}},
    }

    def dying(self):
        worker = take(self)
        os.kill(worker.pid, signal.SIGKILL)
        return worker

    def evaluated():
        return translate(parse_template(template), pseudo=PSEUDO).outputs["o"].resolve(Scope())

    try:
        assert evaluated() is not None  # the expression is parsed from now on
        monkeypatch.setattr(Pool, "_take", dying)
        told = r"^outputs\.o\.value\.yaql: yaql: .*killed twice.* 128 MB"
        with pytest.raises(EvaluationFailed, match=told) as raised:
            evaluated()
        assert raised.value.transient
        monkeypatch.setattr(Pool, "_take", take)
        assert evaluated() == ("1" if known else "x")
    finally:
        fresh.close()


def test_a_server_that_does_not_start_is_no_fault_of_the_template(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    fresh = Pool()
    with pytest.raises(SandboxError):
        fresh.request({"expression": "1", "data": 0})


def test_workers_are_replaced_after_some_calls(monkeypatch):
    monkeypatch.setattr(pool, "CALLS", 3)
    fresh = Pool()
    try:
        pids = set()
        for _ in range(7):
            fresh.request({"expression": "1", "data": 0})
            pids.update(worker.pid for worker in fresh._idle)
        assert len(pids) >= 2
    finally:
        fresh.close()


def test_a_forked_process_has_workers_of_its_own():
    assert output("$.data", 1) == 1
    before = pool._pool._server._process.pid
    pid = os.fork()
    if not pid:
        fine = output("$.data", 2) == 2 and pool._pool._server._process.pid != before
        pool._pool.close()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert output("$.data", 3) == 3


@pytest.mark.parametrize("end", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit(3)"])
def test_a_script_without_a_guard_leaves_no_process_behind(tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(
        "from hot_translator.sandbox import pool\n"
        "assert pool.request({'expression': '$.data', 'data': 7}) == 7\n"
        "print(pool._pool._server._process.pid, pool._pool._idle[0].pid, flush=True)\n" + end
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") and not _is_zombie(pid) for pid in pids):  # noqa: PTH110
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_zombie(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"  # noqa: PTH123
    except OSError:
        return True


def test_slots_go_round_the_tenants():
    turns = Turns(1, 1)
    order = []
    begun = threading.Event()
    release = threading.Event()

    def hold():
        with turns.slot("a"):
            begun.set()
            release.wait()

    def take(name):
        with turns.slot(name):
            order.append(name)

    first = threading.Thread(target=hold)
    first.start()
    begun.wait()
    waiting = []
    for name in ("a", "a", "a", "b"):
        waiting.append(threading.Thread(target=take, args=(name,)))
        waiting[-1].start()
        while sum(map(len, turns._lines.values())) < len(waiting):
            time.sleep(0.001)
    release.set()
    for thread in (first, *waiting):
        thread.join()
    assert order.index("b") <= 1
    assert not turns._lines
    assert not turns._busy
    assert turns._free == 1


# What nobody thought of.

VALUES = st.sampled_from(
    ["1", "'x'", "[1, 2]", "$", "$.data", "[$, $]", "{a => $}", "range(60)", "null", "true", "1.5"]
)
ONE = st.sampled_from([
    "[{0}, {0}]", "{{a => {0}, b => {0}}}", "str({0})", "[{0}].toSet()", "[{0}].distinct()", "[{0}].flatten()",
    "range(40).aggregate([$1, $1], {0})", "range(40).accumulate([$1, $1], {0})", "range(30).select({0})",
    "{0}.len()", "dict([[{0}, 1]])", "[{0}].orderBy(str($))", "'x' * 100000", "[{0}] * 100000", "({0}).toList()",
    "[{0}].groupBy($)", "let({0}) -> $", "regex('(a|aa)+$').matches(str({0}))", "[{0}].join(',')", "not {0}",
])  # fmt: skip
TWO = st.sampled_from([
    "[{0}] = [{1}]", "{0} in [{1}]", "[{0}].indexOf({1})", "[{0}] + [{1}]", "{0} * {1}", "{0} + {1}", "{0} > {1}",
    "range(40).aggregate($1 + $1, {0}) = {1}", "[{0}].where({1})", "str({0}).replace('x', str({1}))",
    "[{0}].zip([{1}])", "dict(a => {0}).set(b, {1})", "[{0}].select({1})", "switch({0} = {1} => 1, true => 2)",
])  # fmt: skip


def _deeper(inner):
    return st.one_of(
        st.builds(lambda form, one: form.format(one), ONE, inner),
        st.builds(lambda form, one, other: form.format(one, other), TWO, inner, inner),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=st.recursive(VALUES, _deeper, max_leaves=8))
def test_whatever_an_expression_does_the_limits_hold(expression):
    before = pool.CPU
    pool.CPU = 0.2
    try:
        with limited(Budget(cpu=0.3)) as budget:
            try:
                found = pool.request({"expression": expression, "data": {"a": ["x"] * 5}})
            except (RefusedError, BudgetExceeded) as refused:
                found = str(refused)
            assert len(wire.dump(found)) < 8_000_000
            assert remaining() is budget
            assert budget.cpu_spent < 0.4
    finally:
        pool.CPU = before
