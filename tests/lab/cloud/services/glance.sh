# shellcheck shell=bash
# Glance: images, as files.

REQUIREMENTS[glance]="glance==33.0.0"
DATABASES[glance]=glance
APIS[glance]=glance
ENDPOINTS[glance]="glance image http://$HOST:$(port glance)"

glance_configure() {
  mkdir -p "$CLOUD_DATA"/glance/{images,staging,tasks}
  {
    common_sections glance "enabled_backends = files:file
workers = 1
image_size_cap = 1073741824"
    authtoken_section glance
    cat <<END
[paste_deploy]
flavor = keystone
config_file = $VENV/etc/glance/glance-api-paste.ini
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = $CLOUD_DATA/glance/images
[os_glance_staging_store]
filesystem_store_datadir = $CLOUD_DATA/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = $CLOUD_DATA/glance/tasks
END
  } >"$CLOUD_ETC/glance/glance-api.conf"
}

glance_migrate() { "$VENV/bin/glance-manage" --config-file "$CLOUD_ETC/glance/glance-api.conf" db_sync; }

start_glance() { OS_GLANCE_CONFIG_DIR=$CLOUD_ETC/glance start_api glance glance.wsgi.api 1 4; }
