"""Names of resources to which the template gives none are Heat's, also in groups and nested templates."""

import re

from harness import virtual
from harness.universe import UID, Universe

from hot_translator import Pseudo, parse_template, translate

SHORT = "[a-z2-7]{12}"
NET = {"type": "OS::Neutron::Net"}
GROUP = {"type": "OS::Heat::ResourceGroup", "properties": {"count": 2, "resource_def": {"type": "pair.yaml"}}}
PAIR = """
heat_template_version: 2021-04-16
resources:
  net: {type: OS::Neutron::Net}
  named: {type: OS::Neutron::Net, properties: {name: {get_param: "OS::stack_name"}}}
"""


def test_a_name_has_those_of_the_groups_and_templates_that_it_is_in() -> None:
    pseudo = Pseudo(stack_name="web", stack_id=UID, project_id="project", region="RegionOne")
    template = {"heat_template_version": "2021-04-16", "resources": {"net": NET, "g": GROUP}}
    translation = translate(parse_template(template), files={"pair.yaml": PAIR}, pseudo=pseudo)

    async def life() -> dict[str, str]:
        universe = Universe()
        assert (await universe.again(translation)).complete
        return {
            one.name: universe.cloud.tables["networks"][one.physical_id or ""]["name"]
            for one in universe.records.load()
        }

    names = virtual.run(life())
    assert re.fullmatch(f"web-net-{SHORT}", names["net"])
    for member in ("0", "1"):
        inner = names[f"g/{member}/named"]
        assert re.fullmatch(f"web-g-{SHORT}-{member}-{SHORT}", inner)
        assert re.fullmatch(f"{inner}-net-{SHORT}", names[f"g/{member}/net"]), "as OS::stack_name says in there"
    assert len({names[name].rsplit("-0-")[0].rsplit("-1-")[0] for name in names if "/" in name}) == 1
