# shellcheck shell=bash
# Nova: servers that exist in the database and in nova-compute's memory only, by plugins/kiln_lab_nova.py.

REQUIREMENTS[nova]="nova==34.0.0"
DATABASES[nova]="nova nova_api nova_cell0"
APIS[nova]=nova
WORKERS[nova]="nova-conductor nova-scheduler nova-compute"
ENDPOINTS[nova]="nova compute http://$HOST:$(port nova)/v2.1"

nova_configure() {
  # The API takes its paste file from the folder of its configuration, and the host its identity.
  cp "$VENV/etc/nova/api-paste.ini" "$CLOUD_ETC/nova/"
  "$VENV/bin/python" -c 'import uuid; print(uuid.uuid5(uuid.NAMESPACE_DNS, "lab"))' >"$CLOUD_ETC/nova/compute_id"
  {
    common_sections nova "my_ip = $HOST
compute_driver = kiln_lab_nova.PersistentFakeDriver
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
allow_resize_to_same_host = true
reserved_host_memory_mb = 0
resume_guests_state_on_host_boot = false
block_device_allocate_retries_interval = 1
initial_cpu_allocation_ratio = 16
initial_ram_allocation_ratio = 4"
    authtoken_section nova
    service_user_section nova
    auth_section keystone nova
    auth_section placement placement
    auth_section glance glance
    auth_section cinder cinder
    echo "catalog_info = block-storage::publicURL"
    auth_section neutron neutron
    cat <<END
service_metadata_proxy = true
metadata_proxy_shared_secret = $SERVICE_PASSWORD
[barbican]
auth_endpoint = $KEYSTONE_URL/v3
[api_database]
connection = $(database_url nova_api)
[wsgi]
api_paste_config = $VENV/etc/nova/api-paste.ini
[api]
auth_strategy = keystone
[conductor]
workers = $LAB_WORKERS
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 60
[filter_scheduler]
track_instance_changes = false
max_instances_per_host = 100000
[quota]
$(unlimited instances cores ram metadata_items key_pairs server_groups server_group_members injected_files)
[vnc]
enabled = true
novncproxy_base_url = http://$HOST:$(port nova-console)/vnc_auto.html
[compute]
max_disk_devices_to_attach = -1
END
  } >"$CLOUD_ETC/nova/nova.conf"
}

# nova_manage ARGUMENT...: Nova's own command.
nova_manage() { "$VENV/bin/nova-manage" --config-file "$CLOUD_ETC/nova/nova.conf" "$@"; }

nova_migrate() {
  nova_manage api_db sync
  nova_manage cell_v2 map_cell0 --database_connection "$(database_url nova_cell0)"
  nova_manage db sync
  nova_manage cell_v2 list_cells | grep -q ' cell1 ' || nova_manage cell_v2 create_cell --name cell1
}

start_nova() { OS_NOVA_CONFIG_DIR=$CLOUD_ETC/nova start_api nova nova.wsgi.osapi_compute "$LAB_WORKERS" 4; }
start_nova_conductor() { start_worker nova-conductor --config-file "$CLOUD_ETC/nova/nova.conf"; }
start_nova_scheduler() { start_worker nova-scheduler --config-file "$CLOUD_ETC/nova/nova.conf"; }
start_nova_compute() { start_worker nova-compute --config-file "$CLOUD_ETC/nova/nova.conf"; }

# nova_finish: the host reports itself some seconds after its first start; then it has to be mapped to the cell.
nova_finish() {
  local attempt
  for attempt in {1..20}; do
    nova_manage cell_v2 discover_hosts >>"$LOG_DIR/nova-discover.log" 2>&1 || true
    [ "$(sql 'select count(*) from host_mappings' nova_api)" = 0 ] || return 0
    sleep 1
  done
  die_with_log "$LOG_DIR/nova-compute.log" "nova-compute did not report after $attempt attempts"
}
