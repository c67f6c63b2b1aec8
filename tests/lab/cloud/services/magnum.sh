# shellcheck shell=bash
# Magnum: the API only; it would need Heat to make clusters.

REQUIREMENTS[magnum]="magnum==23.0.0 python-magnumclient"
DATABASES[magnum]=magnum
APIS[magnum]=magnum
WORKERS[magnum]=magnum-conductor
ENDPOINTS[magnum]="magnum container-infra http://$HOST:$(port magnum)/v1"
DOMAIN_ADMINS[magnum]="magnum trustee_domain_admin"

magnum_configure() {
  {
    common_sections magnum
    authtoken_section magnum
    auth_section keystone_auth magnum
    auth_section magnum_client magnum
    cat <<END
[api]
host = $HOST
port = $(port magnum)
api_paste_config = $VENV/etc/magnum/api-paste.ini
[trust]
trustee_domain_name = magnum
trustee_domain_admin_name = trustee_domain_admin
trustee_domain_admin_password = $SERVICE_PASSWORD
trustee_keystone_interface = public
[certificates]
cert_manager_type = x509keypair
[conductor]
workers = 1
END
  } >"$CLOUD_ETC/magnum/magnum.conf"
}

magnum_migrate() { "$VENV/bin/magnum-db-manage" --config-file "$CLOUD_ETC/magnum/magnum.conf" upgrade; }

start_magnum() { start_api magnum magnum.wsgi.api 1 1 --pyargv "--config-file $CLOUD_ETC/magnum/magnum.conf"; }
start_magnum_conductor() { start_worker magnum-conductor --config-file "$CLOUD_ETC/magnum/magnum.conf"; }
