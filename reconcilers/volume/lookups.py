"""What Cinder knows by name."""

from reconcilers.finders import Finder, register_finders

register_finders(
    {
        "cinder.volume": Finder("block_storage", "/volumes", "volumes"),
        "cinder.snapshot": Finder("block_storage", "/snapshots", "snapshots"),
        "cinder.backup": Finder("block_storage", "/backups", "backups"),
        "cinder.vtype": Finder("block_storage", "/types", "volume_types", whole=True),
    }
)
