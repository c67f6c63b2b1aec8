# shellcheck shell=bash
# Manila: shared file systems, by its own dummy driver.

REQUIREMENTS[manila]="manila==23.0.1 python-manilaclient"
DATABASES[manila]=manila
APIS[manila]=manila
WORKERS[manila]="manila-scheduler manila-share"
ENDPOINTS[manila]="manila shared-file-system http://$HOST:$(port manila)/v2
manilav2 sharev2 http://$HOST:$(port manila)/v2"

manila_configure() {
  {
    common_sections manila "my_ip = $HOST
osapi_share_listen = $HOST
api_paste_config = $VENV/etc/manila/api-paste.ini
auth_strategy = keystone
enabled_share_backends = dummy
enabled_share_protocols = NFS,CIFS
default_share_type = default
share_name_template = share-%s
rootwrap_config = $VENV/etc/manila/rootwrap.conf
$(unlimited quota_shares quota_gigabytes)"
    authtoken_section manila
    auth_section neutron manila
    auth_section nova manila
    auth_section cinder manila
    cat <<END
[dummy]
share_driver = manila.tests.share.drivers.dummy.DummyDriver
driver_handles_share_servers = false
share_backend_name = dummy
END
  } >"$CLOUD_ETC/manila/manila.conf"
}

manila_migrate() { "$VENV/bin/manila-manage" --config-file "$CLOUD_ETC/manila/manila.conf" db sync; }

start_manila() { start_api manila manila.wsgi.api 1 1 --pyargv "--config-file $CLOUD_ETC/manila/manila.conf"; }
start_manila_scheduler() { start_worker manila-scheduler --config-file "$CLOUD_ETC/manila/manila.conf"; }
start_manila_share() { start_worker manila-share --config-file "$CLOUD_ETC/manila/manila.conf"; }
