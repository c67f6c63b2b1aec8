from dataclasses import replace

import pytest

from reconcilers.identity.domain import Domain
from reconcilers.identity.endpoint import Endpoint
from reconcilers.identity.project import Project
from reconcilers.identity.region import Region
from reconcilers.identity.role import Role
from reconcilers.model import Desired, Gone, Outcome, Ready, Recorded, Replace, Send

RECORDED = Recorded(
    key="k", name="n", type="t", token="token", physical_name="stack-n-x", physical_id="id", confirmed=True
)


def desired(changed: set[str] | None = None, **properties: object) -> Desired:
    return Desired("n", "stack-n-x", properties, frozenset(properties if changed is None else changed))


def call(outcome: Outcome) -> tuple[str, str, object]:
    assert isinstance(outcome, Send)
    return outcome.request.method, outcome.request.path, outcome.request.body


def test_a_project_is_made_with_its_tags_and_its_token():
    wanted = desired(description="mine", domain="default", tags=["a"], parent="other")
    body = {
        "name": "stack-n-x",
        "description": "mine kiln:token",
        "domain_id": "default",
        "tags": ["a"],
        "parent_id": "other",
    }
    assert call(Project().step(wanted, RECORDED, None)) == ("POST", "/projects", {"project": body})


def test_a_project_is_changed_in_place_and_keeps_its_token():
    observed = {"id": "id", "name": "stack-n-x", "description": "mine kiln:token", "tags": []}
    wanted = desired({"description"}, description="other", tags=["b"])
    body = {"description": "other kiln:token"}
    assert call(Project().step(wanted, RECORDED, observed)) == ("PATCH", "/projects/id", {"project": body})
    tagged = Project().step(desired({"tags"}, tags=["b"]), RECORDED, {**observed, "tags": ["theirs"]})
    assert call(tagged) == ("PUT", "/projects/id/tags/b", None)
    assert isinstance(Project().replacement(desired({"parent"}, parent="p"), RECORDED, observed), Replace)


def test_the_token_is_no_drift_and_a_changed_description_is():
    wanted = desired(description="mine", tags=["a", "b"], enabled=True)
    observed = {
        "id": "id",
        "description": "mine kiln:token",
        "tags": ["b", "a"],
        "enabled": True,
        "domain_id": "default",
    }
    assert Project().drift(wanted, observed) == frozenset()
    assert Project().drift(wanted, {**observed, "description": "theirs"}) == {"description"}
    assert Project().drift(wanted, {**observed, "enabled": False}) == {"enabled"}


def test_with_a_project_goes_the_security_group_that_neutron_made_for_it():
    groups = [{"id": "g1", "project_id": "other"}, {"id": "g2", "project_id": "id"}]
    observed = {"id": "id"}
    look = Project().step(None, RECORDED, observed)
    assert call(look) == ("GET", "/security-groups", None)
    assert isinstance(look, Send)
    observed = {**observed, look.into: {"security_groups": groups}}
    first = Project().step(None, RECORDED, observed)
    assert call(first) == ("DELETE", "/security-groups/g2", None)
    assert isinstance(first, Send)
    assert call(Project().step(None, RECORDED, {**observed, first.into: None})) == ("DELETE", "/projects/id", None)
    assert Project().step(None, RECORDED, None) == Gone()


def test_an_enabled_domain_is_disabled_before_it_is_deleted():
    assert call(Domain().step(None, RECORDED, {"id": "id", "enabled": True})) == (
        "PATCH",
        "/domains/id",
        {"domain": {"enabled": False}},
    )
    assert call(Domain().step(None, RECORDED, {"id": "id", "enabled": False})) == ("DELETE", "/domains/id", None)


def test_a_role_is_looked_for_where_it_is_listed():
    kind = Role()
    of_domain = replace(RECORDED, data=kind.intent(desired(name="r", domain="d")))
    assert kind.find(of_domain).params == {"domain_id": "d"}
    assert kind.find(RECORDED).params == {}
    assert kind.owned({"id": "x", "description": "kiln:token"}, RECORDED)
    assert not kind.owned({"id": "x", "description": "kiln:another"}, RECORDED)


def test_a_region_with_an_id_that_is_no_path_is_quoted_as_in_heat():
    method, path, body = call(Region().step(desired(id="my region", enabled=True), RECORDED, None))
    assert (method, path) == ("POST", "/regions")
    assert body == {"region": {"id": "my%20region", "enabled": True, "description": "kiln:token"}}
    assert Region().path(replace(RECORDED, physical_id="my%20region")) == "/regions/my%2520region"


def test_an_endpoint_carries_its_token_in_an_extra_field():
    wanted = desired(service="s", region="r", interface="public", url="http://x")
    body = call(Endpoint().step(wanted, RECORDED, None))[2]
    assert body == {
        "endpoint": {
            "name": "stack-n-x",
            "service_id": "s",
            "region_id": "r",
            "interface": "public",
            "url": "http://x",
            "description": "kiln:token",
        }
    }


@pytest.mark.parametrize("kind", [Project(), Domain(), Role(), Region(), Endpoint()])
def test_a_resource_that_is_as_wanted_costs_no_call(kind):
    assert kind.step(desired(set()), RECORDED, {"id": "id", "enabled": True}) == Ready()
