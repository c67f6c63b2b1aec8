# shellcheck shell=bash
# Cinder: volumes and backups that are metadata only, by plugins/kiln_lab_cinder.py.

REQUIREMENTS[cinder]="cinder==29.0.0"
DATABASES[cinder]=cinder
APIS[cinder]=cinder
WORKERS[cinder]="cinder-scheduler cinder-volume cinder-backup"
# Heat's and older clients look for volumev3, with the project in the path.
ENDPOINTS[cinder]="cinder block-storage http://$HOST:$(port cinder)/v3
cinderv3 volumev3 http://$HOST:$(port cinder)/v3/%(project_id)s"

cinder_configure() {
  {
    common_sections cinder "my_ip = $HOST
api_paste_config = $VENV/etc/cinder/api-paste.ini
auth_strategy = keystone
enabled_backends = nothing
backup_driver = kiln_lab_cinder.MetadataOnlyBackup
backup_manager = kiln_lab_cinder.BackupManager
default_volume_type = __DEFAULT__
glance_api_servers = http://$HOST:$(port glance)
osapi_volume_listen = $HOST
allow_availability_zone_fallback = true
per_volume_size_limit = -1
$(unlimited quota_{volumes,snapshots,gigabytes,backups,backup_gigabytes,groups})"
    authtoken_section cinder
    auth_section nova nova
    service_user_section cinder
    cat <<END
[nothing]
volume_driver = kiln_lab_cinder.MetadataOnlyDriver
volume_backend_name = nothing
[key_manager]
backend = cinder.keymgr.conf_key_mgr.ConfKeyManager
fixed_key = $(printf '0%.0s' {1..64})
END
  } >"$CLOUD_ETC/cinder/cinder.conf"
}

cinder_migrate() { "$VENV/bin/cinder-manage" --config-file "$CLOUD_ETC/cinder/cinder.conf" db sync; }

start_cinder() { start_api cinder cinder.wsgi.api 2 1 --pyargv "--config-file $CLOUD_ETC/cinder/cinder.conf"; }
start_cinder_scheduler() { start_worker cinder-scheduler --config-file "$CLOUD_ETC/cinder/cinder.conf"; }
start_cinder_volume() { start_worker cinder-volume --config-file "$CLOUD_ETC/cinder/cinder.conf"; }
start_cinder_backup() { start_worker cinder-backup --config-file "$CLOUD_ETC/cinder/cinder.conf"; }
