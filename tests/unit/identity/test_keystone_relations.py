"""Roles and groups: what is made, what is ended, what is left alone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconcilers.identity.base import Relations, grants, held_roles, memberships, noted, recall, refused
from reconcilers.identity.role_assignment import GroupRoleAssignment, UserRoleAssignment
from reconcilers.identity.user import User
from reconcilers.model import Desired, Failed, Fault, Gone, Ready, Recorded, Replace, Request, Send

AGAIN = Request("identity", "GET", "/role_assignments", params={"user.id": "u"})
MEMBER = {"role": "member", "project": "p"}
READER = {"role": "reader", "domain": "d"}
RECORDED = Recorded(
    key="k", name="n", type="t", token="token", physical_name="stack-n-x", physical_id="u", confirmed=True
)
PATHS = st.frozensets(st.sampled_from([f"/projects/p/{{}}/roles/{name}" for name in "abcde"]))


def answer(*roles: dict[str, str], user: str = "u") -> dict[str, object]:
    """What /role_assignments says of these."""
    scopes = ({key: {"id": role[key]} for key in ("project", "domain") if key in role} for role in roles)
    return {
        "role_assignments": [
            {"role": {"id": role["role"]}, "user": {"id": user}, "scope": scope}
            for role, scope in zip(roles, scopes, strict=True)
        ]
    }


def desired(changed: set[str] | None = None, **properties: object) -> Desired:
    return Desired("n", "stack-n-x", properties, frozenset(properties if changed is None else changed))


@given(wanted=PATHS, held=PATHS, known=PATHS)
def test_what_is_wanted_is_made_what_was_ours_is_ended_and_what_others_made_stays(wanted, held, known):
    there, seen, recorded = set(held), {}, replace(RECORDED, data={"roles": noted(known)})
    for _ in range(20):
        send = Relations("roles", "users/u", wanted, held, recall(recorded, "roles"), seen).advance(AGAIN)
        if send is None:
            break
        recorded = replace(recorded, data={**recorded.data, **send.remember})
        if send.request.method == "GET":
            held, seen = frozenset(there), {}
            continue
        path = send.request.path.replace("users/u", "{}")
        assert recall(recorded, "roles") >= {path}, (
            "nothing is made before it is recorded, nothing forgotten before it is gone"
        )
        (there.add if send.request.method == "PUT" else there.discard)(path)
        seen = {**seen, send.into: None}
    else:
        raise AssertionError("it never comes to rest")
    assert there == (held - (known - wanted)) | wanted
    assert recall(recorded, "roles") == wanted


def test_roles_are_paths_in_a_project_or_a_domain():
    assert grants([MEMBER, READER]) == {"/projects/p/{}/roles/member", "/domains/d/{}/roles/reader"}
    assert grants(None) == frozenset()
    assert memberships(["g"]) == {"/groups/g/{}"}


def test_inherited_and_system_assignments_are_not_direct_ones():
    body = answer(MEMBER)
    body["role_assignments"] += [
        {"role": {"id": "x"}, "scope": {"project": {"id": "p"}, "OS-INHERIT:inherited_to": "projects"}},
        {"role": {"id": "x"}, "scope": {"system": {"all": True}}},
    ]
    assert held_roles(body) == grants([MEMBER])


def test_a_role_without_a_scope_or_with_two_is_refused():
    neither, both = refused([MEMBER, {"role": "r"}]), refused([{**MEMBER, "domain": "d"}])
    assert neither is not None
    assert both is not None
    assert (neither.fault, neither.property) == (Fault.INVALID, "roles[1]")
    assert both.property == "roles[0]"
    assert refused([MEMBER, READER]) is None


def test_a_user_is_made_first_and_gets_its_groups_and_roles_then():
    kind, wanted = User(), desired(name="joe", password="secret", groups=["g"], roles=[MEMBER])
    recorded = replace(RECORDED, data=kind.intent(wanted))
    made = kind.step(wanted, recorded, None)
    assert isinstance(made, Send)
    assert made.creates
    assert made.applies == {"name", "password"}
    assert made.request.body == {"user": {"name": "joe", "password": "secret", "description": "kiln:token"}}

    left = replace(wanted, changed=wanted.changed - made.applies)
    paths, shown = [], {"id": "u", "name": "joe"}
    for _ in range(10):
        outcome = kind.step(left, recorded, shown)
        if not isinstance(outcome, Send):
            break
        paths.append(f"{outcome.request.method} {outcome.request.path}")
        said = answer() if outcome.into == "roles" else {"groups": []} if outcome.into == "groups" else None
        shown = {**shown, outcome.into: said}
    assert outcome == Ready(applies=frozenset({"groups", "roles"}))
    assert paths == [
        "GET /users/u/groups",
        "PUT /groups/g/users/u",
        "GET /role_assignments",
        "PUT /projects/p/users/u/roles/member",
    ]


def test_an_unchanged_user_costs_no_call():
    kind, wanted = User(), desired(set(), name="joe", roles=[MEMBER])
    assert kind.step(wanted, RECORDED, {"id": "u", "name": "joe"}) == Ready()


def test_the_password_of_a_user_is_never_compared():
    assert User().drift(desired(name="joe", password="secret"), {"id": "u", "name": "joe"}) == frozenset()
    assert User().drift(desired(name="joe"), {"id": "u", "name": "jim"}) == {"name"}


def test_a_role_assignment_is_made_without_a_look_and_stands_under_its_holder():
    kind, wanted = UserRoleAssignment(), desired(user="u", roles=[MEMBER])
    recorded = replace(RECORDED, physical_id=None, data=kind.intent(wanted))
    assert kind.identity(recorded) == "u"
    first = kind.step(wanted, recorded, None)
    assert isinstance(first, Send)
    assert (first.request.method, first.request.path) == ("PUT", "/projects/p/users/u/roles/member")
    assert kind.step(wanted, recorded, {first.into: None}) == Ready(applies=wanted.changed)


def test_a_role_assignment_goes_by_its_record_alone_and_leaves_what_others_gave():
    kind = GroupRoleAssignment()
    recorded = replace(RECORDED, physical_id="g", data=kind.intent(desired(group="g", roles=[MEMBER])))
    observed = kind.extract(answer(MEMBER, READER), recorded)
    first = kind.step(None, recorded, observed)
    assert isinstance(first, Send)
    assert (first.request.method, first.request.path) == ("DELETE", "/projects/p/groups/g/roles/member")
    assert kind.step(None, recorded, {**observed, first.into: None}) == Gone()
    assert kind.extract(answer(READER), recorded) is None


def test_a_role_that_somebody_took_away_is_drift_and_is_given_again():
    kind, wanted = UserRoleAssignment(), desired(set(), user="u", roles=[MEMBER, READER])
    recorded = replace(RECORDED, data=kind.intent(wanted))
    observed = kind.extract(answer(READER), recorded)
    assert kind.step(wanted, recorded, observed) == Ready()
    assert kind.drift(wanted, observed) == {"roles"}
    again = kind.step(replace(wanted, changed=frozenset({"roles"})), recorded, observed)
    assert isinstance(again, Send)
    assert again.request.path == "/projects/p/users/u/roles/member"


def test_another_holder_gets_a_record_of_its_own():
    kind = UserRoleAssignment()
    assert isinstance(kind.replacement(desired({"user"}, user="v"), RECORDED, None), Replace)
    assert kind.replacement(desired({"roles"}, user="u"), RECORDED, None) is None


def test_a_refused_role_assignment_says_which():
    wanted = desired(user="u", roles=[{"role": "r"}])
    recorded = replace(RECORDED, data=UserRoleAssignment().intent(wanted))
    assert isinstance(UserRoleAssignment().step(wanted, recorded, None), Failed)
