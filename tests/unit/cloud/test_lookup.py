"""Names into ids: what is kept, what is not, and what the cloud refutes."""

import asyncio

import pytest
from harness import virtual

from reconcilers import finders, registry
from reconcilers.cloud.lookup import KEPT, Lookup, UnresolvedNameError
from reconcilers.cloud.session import Answer
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request

A = "11111111-2222-4333-8444-555555555555"
B = "22222222-2222-4333-8444-555555555555"


class Cloud:
    """Lists by collection; ``asked`` are the params of each list."""

    def __init__(self, **tables):
        self.tables = {name.replace("_", "-"): items for name, items in tables.items()}
        self.asked = []

    async def list(self, request, plural, _caller=None):
        await asyncio.sleep(0.1)
        self.asked.append((request.path, dict(request.params)))
        items = self.tables.get(plural.replace("_", "-"), [])
        filters = {key: value for key, value in request.params.items() if key in {"name", "project_id", "domain_id"}}
        return [item for item in items if all(item.get(key) == value for key, value in filters.items())]

    async def send(self, request, _caller=None):
        collection, _, identity = request.path.strip("/").partition("/")
        there = any(item["id"] == identity for item in self.tables.get(collection, []))
        return Answer(200 if there else 404, {}, "")

    async def project_id(self):
        return "ours"


def test_a_thousand_users_of_one_name_ask_once():
    async def life():
        cloud = Cloud(networks=[{"id": A, "name": "net"}])
        lookup = Lookup(cloud)
        found = await asyncio.gather(*(lookup.resolve("neutron.network", "net") for _ in range(1000)))
        assert set(found) == {A}
        assert len(cloud.asked) == 1
        await asyncio.sleep(KEPT + 1)
        await lookup.resolve("neutron.network", "net")
        assert len(cloud.asked) == 2

    virtual.run(life())


@pytest.mark.parametrize(("kind", "table"), [("neutron.network", "networks"), ("nova.flavor", "flavors")])
def test_what_was_not_found_is_found_as_soon_as_it_is_there(kind, table):
    async def life():
        cloud = Cloud(**{table: [{"id": A, "name": "other"}]})
        lookup = Lookup(cloud)
        await lookup.resolve(kind, "other")
        with pytest.raises(UnresolvedNameError) as caught:
            await lookup.resolve(kind, "new")
        assert (caught.value.kind, caught.value.value, caught.value.fault) == (kind, "new", Fault.INVALID)
        cloud.tables[table].append({"id": B, "name": "new"})
        assert await lookup.resolve(kind, "new") == B
        assert await lookup.resolve(kind, "new") == B

    virtual.run(life())


def test_an_id_that_looks_like_anything_is_found_though_a_list_without_it_is_kept():
    async def life():
        cloud = Cloud(flavors=[{"id": "1", "name": "m1.tiny"}])
        lookup = Lookup(cloud)
        await lookup.resolve("nova.flavor", "m1.tiny")
        cloud.tables["flavors"].append({"id": B, "name": "stack-flavor"})
        assert await lookup.resolve("nova.flavor", B) == B

    virtual.run(life())


def test_many_that_miss_at_one_time_share_their_lists():
    async def life():
        cloud = Cloud(networks=[])
        lookup = Lookup(cloud)
        asked = (lookup.resolve("neutron.network", "none") for _ in range(100))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, UnresolvedNameError) for one in answers)
        assert len(cloud.asked) <= 2

    virtual.run(life())


def test_what_is_deleted_here_is_looked_up_anew():
    async def life():
        cloud = Cloud(networks=[{"id": A, "name": "net"}])
        lookup = Lookup(cloud)
        assert await lookup.resolve("neutron.network", "net") == A

        async def send(_request):
            return Answer(204, None, "")

        await lookup.watch(send)(Request("network", "DELETE", f"/networks/{A}"))
        assert lookup.known("neutron.network", "net") is None
        cloud.tables["networks"] = [{"id": B, "name": "net"}]
        assert await lookup.resolve("neutron.network", "net") == B

    virtual.run(life())


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        ([{"id": B, "name": "net"}], Fault.CONFLICT),
        ([{"id": A, "name": "net"}], Fault.INVALID),
        ([], Fault.INVALID),
    ],
)
def test_a_refusal_because_of_an_id_is_tried_again_only_if_its_name_means_something_else(now, fault):
    async def life():
        cloud = Cloud(networks=[{"id": A, "name": "net"}])
        lookup = Lookup(cloud)
        await lookup.resolve("neutron.network", "net")
        cloud.tables["networks"] = now

        async def send(_request):
            raise CloudError(Fault.INVALID, f"Network {A} could not be found.", status=404)

        with pytest.raises(CloudError) as caught:
            await lookup.watch(send)(Request("network", "POST", "/subnets", {}))
        assert caught.value.fault is fault
        assert lookup.known("neutron.network", "net") == (now[0]["id"] if now else None)

    virtual.run(life())


def test_a_groups_name_means_the_group_of_the_own_project():
    async def life():
        groups = [{"id": A, "name": "default", "project_id": "theirs"}]
        groups.append({"id": B, "name": "default", "project_id": "ours"})
        lookup = Lookup(Cloud(security_groups=groups))
        assert await lookup.resolve("neutron.security_group", "default") == B

    virtual.run(life())


def test_several_of_one_name_are_refused():
    async def life():
        lookup = Lookup(Cloud(networks=[{"id": A, "name": "net"}, {"id": B, "name": "net"}]))
        with pytest.raises(UnresolvedNameError, match="there are 2 of kind network named 'net': give the id"):
            await lookup.resolve("neutron.network", "net")

    virtual.run(life())


@pytest.mark.parametrize("kind", ["user", "group", "project", "role"])
@pytest.mark.parametrize("domain", ["Default", "default"])
def test_a_keystone_name_may_have_its_domain_in_braces(kind, domain):
    async def life():
        items = [{"id": A, "name": "demo", "domain_id": "default"}, {"id": B, "name": "demo", "domain_id": "other"}]
        domains = [{"id": "default", "name": "Default"}, {"id": "other", "name": "Other"}]
        lookup = Lookup(Cloud(**{f"{kind}s": items}, domains=domains))
        assert await lookup.resolve(f"keystone.{kind}", f"demo{{{domain}}}") == A
        assert await lookup.resolve(f"keystone.{kind}", "demo{Other}") == B
        assert lookup.known(f"keystone.{kind}", f"demo{{{domain}}}") == A
        with pytest.raises(UnresolvedNameError, match="there is no domain 'Nowhere'"):
            await lookup.resolve(f"keystone.{kind}", "demo{Nowhere}")
        with pytest.raises(UnresolvedNameError, match="there is no"):
            await lookup.resolve(f"keystone.{kind}", "nobody{Other}")

    virtual.run(life())


def test_a_network_with_braces_in_its_name_is_that_network():
    async def life():
        lookup = Lookup(Cloud(networks=[{"id": A, "name": "net{x}"}]))
        assert await lookup.resolve("neutron.network", "net{x}") == A

    virtual.run(life())


def test_the_id_of_a_user_of_a_directory_costs_no_call():
    async def life():
        cloud = Cloud()
        digest = "ab" * 32
        assert await Lookup(cloud).resolve("keystone.user", digest) == digest
        assert await Lookup(cloud).resolve("keystone.project", A.replace("-", "")) == A.replace("-", "")
        assert not cloud.asked

    virtual.run(life())


def test_every_kind_that_a_type_looks_up_has_a_row():
    for rtype in registry.load().values():
        for kind in rtype.schema.lookups.values():
            assert registry.finder(kind) is not None, kind


def test_a_kind_has_one_row():
    with pytest.raises(ValueError, match=r"neutron\.network is declared twice"):
        finders.register_finders({"neutron.network": finders.Finder("network", "/networks", "networks")})
