"""Cinder without storage: volumes and backups are rows in the database, and every operation on them succeeds."""

import io

from cinder import interface
from cinder.backup import driver as backup_driver
from cinder.backup import manager as backup_manager
from cinder.volume import driver


def _nothing(self, *args, **kwargs):
    return None


@interface.volumedriver
class MetadataOnlyDriver(driver.BaseVD, driver.CloneableImageVD, driver.MigrateVD):
    """A volume driver that keeps nothing."""

    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    check_for_setup_error = do_setup = _nothing
    create_volume = delete_volume = extend_volume = _nothing
    create_snapshot = delete_snapshot = revert_to_snapshot = _nothing
    create_volume_from_snapshot = create_cloned_volume = _nothing
    ensure_export = create_export = remove_export = _nothing
    create_export_snapshot = remove_export_snapshot = _nothing
    terminate_connection = terminate_connection_snapshot = _nothing
    copy_image_to_volume = copy_image_to_encrypted_volume = _nothing
    local_path = manage_existing = unmanage = _nothing

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        """A volume made from an image "holds" it at once."""
        return {}, True

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        """An image made from a volume has some content, so that Glance makes it active."""
        image_service.update(context, image_meta["id"], {}, io.BytesIO(b"lab"))

    def initialize_connection(self, volume, connector, **kwargs):
        """What Nova's fake driver is content with."""
        return {"driver_volume_type": "fake", "data": {"volume_id": volume["id"], "target_lun": 1}}

    initialize_connection_snapshot = initialize_connection

    def retype(self, context, volume, new_type, diff, host):
        """Any type becomes any other, in place."""
        return True, None

    def manage_existing_get_size(self, volume, existing_ref):
        """In GiB."""
        return 1

    def get_volume_stats(self, refresh=False):
        """Endless room, every feature."""
        return {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "lab",
            "driver_version": self.VERSION,
            "storage_protocol": "fake",
            "total_capacity_gb": "infinite",
            "free_capacity_gb": "infinite",
            "reserved_percentage": 0,
            "multiattach": True,
            "QoS_support": True,
            "consistent_group_snapshot_enabled": True,
        }


class BackupManager(backup_manager.BackupManager):
    """The stock manager, without a device to read: a volume of the lab has no content to attach."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # The stock function asks the host for its initiators, by programs that the lab does not have.
        backup_manager.volume_utils.brick_get_connector_properties = lambda *args, **kwargs: {}

    def _attach_device(self, ctxt, backup_device, properties, is_snapshot=False):
        return {"device": {"path": io.BytesIO()}}

    def _detach_device(self, ctxt, attach_info, device, properties, is_snapshot=False, force=False, **kwargs):
        return None


@interface.backupdriver
class MetadataOnlyBackup(backup_driver.BackupDriver):
    """A backup driver that keeps nothing."""

    backup = restore = delete_backup = check_for_setup_error = _nothing
