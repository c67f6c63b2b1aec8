# shellcheck shell=bash
# Gnocchi: metrics, the API only: its metricd burns CPU while idle. It reads its configuration from the home directory.

REQUIREMENTS[gnocchi]="gnocchi[mysql]==4.7.1"
DATABASES[gnocchi]=gnocchi
APIS[gnocchi]=gnocchi
ENDPOINTS[gnocchi]="gnocchi metric http://$HOST:$(port gnocchi)"

gnocchi_configure() {
  mkdir -p "$SERVICE_HOME/.gnocchi"
  {
    cat <<END
[DEFAULT]
use_stderr = true
[indexer]
url = $(database_url gnocchi)
[storage]
driver = file
file_basepath = $CLOUD_DATA/gnocchi
[incoming]
driver = file
file_basepath = $CLOUD_DATA/gnocchi
[api]
auth_mode = keystone
END
    authtoken_section gnocchi
  } >"$SERVICE_HOME/.gnocchi/gnocchi.conf"
}

gnocchi_migrate() { HOME=$SERVICE_HOME "$VENV/bin/gnocchi-upgrade"; }

start_gnocchi() { HOME=$SERVICE_HOME start_api gnocchi gnocchi.wsgi.api 1 1; }
