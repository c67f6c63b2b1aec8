"""What Nova knows by name."""

from reconcilers.finders import Finder, register_finders

register_finders(
    {
        "nova.flavor": Finder(
            "compute", "/flavors/detail", "flavors", params={"is_public": "None"}, whole=True, opaque=True
        ),
        "nova.server": Finder("compute", "/servers", "servers"),
        "nova.keypair": Finder(
            "compute", "/os-keypairs", "keypairs", whole=True, opaque=True, key="name", envelope="keypair"
        ),
    }
)
