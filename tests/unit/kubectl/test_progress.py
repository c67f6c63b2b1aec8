import pytest
from harness.stack_views import BEFORE, NOW, READY, STALLED, UID, WORKING, condition, graph, resource, stack, view

from kiln.kubectl import output, progress
from kiln.kubectl.output import plain
from kiln.kubectl.progress import Goal, verdict


def test_a_wait_ends_when_the_stack_is_ready_at_its_newest_generation() -> None:
    assert verdict(view(stack(READY)), Goal.READY, UID) == progress.Verdict(0, "ready")
    assert verdict(view(stack(READY, generation=2, observed=1)), Goal.READY, UID) is None
    assert verdict(view(stack(*WORKING)), Goal.READY, UID) is None


@pytest.mark.parametrize(
    "ended", [stack(*STALLED), stack(condition("Ready", "False", "Paused"), condition("Paused", "True"))]
)
def test_a_wait_fails_when_nothing_changes_any_more(ended: dict[str, object]) -> None:
    found = verdict(view(ended), Goal.READY, UID)
    assert found is not None
    assert found.code == 1


def test_a_stack_that_is_deleted_or_made_anew_ends_both_waits() -> None:
    anew = stack(READY)
    anew["metadata"]["uid"] = "another"
    for found in (None, view(anew)):
        ready, deleted = verdict(found, Goal.READY, UID), verdict(found, Goal.DELETED, UID)
        assert ready is not None
        assert ready.code == 1
        assert deleted == progress.Verdict(0, "deleted")


def test_a_deletion_that_stalls_ends_the_wait() -> None:
    going = stack(*STALLED)
    assert verdict(view(going), Goal.DELETED, UID) is None  # not deleted yet
    going["metadata"]["deletionTimestamp"] = BEFORE
    found = verdict(view(going), Goal.DELETED, UID)
    assert found is not None
    assert found.code == 1


def test_the_picture_has_a_bar_and_a_line_for_each_resource_at_work_or_waiting() -> None:
    one = view(
        stack(
            *WORKING,
            resources={"total": 4, "ready": 1, "failed": 1, "changing": 2},
            lastOperation={"type": "Create", "result": "Running", "startTime": BEFORE},
        ),
        resource("net"),
        resource("subnet", "Creating", message="is BUILD"),
        resource("volume", "Failed", fault="QuotaExceeded", message="no room", requestID="req-1"),
        known=graph(net=[], subnet=["net"], volume=[], port=["subnet", "net"]),
    )
    lines = progress.screen(one, NOW, plain, 100, 20)
    assert lines[0] == "shop/web  Create Running  1m"
    assert lines[1] == f"{'█' * 7}{'░' * 23} 1/4 ready  2 changing 1 failed"
    assert lines[2].strip() == "! volume (OS::Neutron::Net) Failed 1m  QuotaExceeded: no room [req-1]"
    assert lines[3].strip() == "~ subnet (OS::Neutron::Net) Creating 1m  is BUILD"
    assert lines[4].strip() == "· port (OS::Neutron::Net) waits for subnet"


@pytest.mark.parametrize(("columns", "rows"), [(20, 3), (40, 5), (200, 30)])
def test_the_picture_fits_the_terminal(columns: int, rows: int) -> None:
    many = [resource(f"resource-with-a-long-name-{i}", "Creating", message="m" * 300) for i in range(1000)]
    one = view(stack(*WORKING, resources={"total": 1000, "ready": 0}), *many)
    lines = progress.screen(one, NOW, plain, columns, rows)
    assert len(lines) <= rows
    assert max(map(output.width, lines)) <= columns
    assert "more" in lines[-1]


def test_a_deletion_counts_what_is_gone_and_names_who_holds_whom() -> None:
    going = stack(condition("Ready", "False", "Deleting"), resources={"total": 4})
    going["metadata"]["deletionTimestamp"] = BEFORE
    one = view(going, resource("net"), resource("port", "Deleting", needs=["net"]))
    lines = progress.screen(one, NOW, plain, 100, 20)
    assert "2/4 gone" in lines[1]


def test_news_are_transitions_and_not_every_message() -> None:
    first = view(stack(*WORKING, resources={"summary": "1/3"}), resource("net"), resource("subnet", "Creating"))
    assert progress.news(None, first, NOW)[0].startswith("~ subnet")
    again = view(
        stack(condition("Ready", "False", "Progressing", "another message"), resources={"summary": "1/3"}),
        resource("net"),
        resource("subnet", "Creating", message="is BUILD"),
    )
    assert progress.news(first, again, NOW) == []
    done = view(stack(READY, resources={"summary": "2/2"}), resource("subnet"))
    assert progress.news(again, done, NOW) == [
        "subnet (OS::Neutron::Net) Ready",
        "net (OS::Neutron::Net) gone",
        "Succeeded: all resources match the Stack",
    ]
