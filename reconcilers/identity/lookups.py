"""What Keystone knows by name; users, groups, projects and roles may have their domain in braces behind it."""

from reconcilers.finders import Finder, register_finders


def _in_domain(path: str, *, digests: bool = False) -> Finder:
    return Finder("identity", f"/{path}", path, domains=True, digests=digests)


register_finders(
    {
        "keystone.user": _in_domain("users", digests=True),
        "keystone.group": _in_domain("groups", digests=True),
        "keystone.project": _in_domain("projects"),
        "keystone.role": _in_domain("roles"),
        "keystone.domain": Finder("identity", "/domains", "domains", opaque=True),
        "keystone.service": Finder("identity", "/services", "services"),
        "keystone.region": Finder("identity", "/regions", "regions", whole=True, opaque=True),
    }
)
