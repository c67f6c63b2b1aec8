# shellcheck shell=bash
# Placement: what Nova counts its hosts' resources with.

REQUIREMENTS[placement]="openstack-placement==16.0.0"
DATABASES[placement]=placement
APIS[placement]=placement
ENDPOINTS[placement]="placement placement http://$HOST:$(port placement)"

placement_configure() {
  {
    authtoken_section placement
    cat <<END
[placement_database]
connection = $(database_url placement)
END
  } >"$CLOUD_ETC/placement/placement.conf"
}

placement_migrate() { "$VENV/bin/placement-manage" --config-file "$CLOUD_ETC/placement/placement.conf" db sync; }

start_placement() { OS_PLACEMENT_CONFIG_DIR=$CLOUD_ETC/placement start_api placement placement.wsgi.api 2 1; }
