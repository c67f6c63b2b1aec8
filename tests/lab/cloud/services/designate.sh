# shellcheck shell=bash
# Designate: the API answers, but zones end in ERROR: there is no name server to write them to.

REQUIREMENTS[designate]="designate==23.0.0 python-designateclient"
DATABASES[designate]=designate
APIS[designate]=designate
WORKERS[designate]="designate-central designate-mdns designate-worker"
ENDPOINTS[designate]="designate dns http://$HOST:$(port designate)"

designate_configure() {
  cp "$VENV/etc/designate/api-paste.ini" "$CLOUD_ETC/designate/"
  {
    common_sections designate | sed 's/^\[database\]/[storage:sqlalchemy]/'
    authtoken_section designate
    cat <<END
[service:api]
listen = $HOST:$(port designate)
api_base_uri = http://$HOST:$(port designate)/
auth_strategy = keystone
enable_api_v2 = true
api_paste_config = $VENV/etc/designate/api-paste.ini
[service:central]
workers = 1
[service:worker]
workers = 1
poll_max_retries = 1
poll_delay = 1
poll_retry_interval = 1
[service:mdns]
workers = 1
listen = $HOST:$(port designate-mdns)
[service:producer]
workers = 1
[coordination]
backend_url = file://$CLOUD_DATA/designate/coordination
END
  } >"$CLOUD_ETC/designate/designate.conf"
  cat >"$CLOUD_ETC/designate/pools.yaml" <<END
- name: default
  description: a pool that writes nowhere
  attributes: {}
  ns_records: [{hostname: ns1.lab.test., priority: 1}]
  nameservers: [{host: $HOST, port: $(port designate-mdns)}]
  targets:
    - type: fake
      description: nowhere
      masters: [{host: $HOST, port: $(port designate-mdns)}]
      options: {host: $HOST, port: 53}
END
}

# designate_manage ARGUMENT...: Designate's own command.
designate_manage() { "$VENV/bin/designate-manage" --config-file "$CLOUD_ETC/designate/designate.conf" "$@"; }

designate_migrate() { designate_manage database sync; }

start_designate() { OS_DESIGNATE_CONFIG_DIR=$CLOUD_ETC/designate start_api designate designate.wsgi.api 1 1; }
start_designate_central() { start_worker designate-central --config-file "$CLOUD_ETC/designate/designate.conf"; }
start_designate_mdns() { start_worker designate-mdns --config-file "$CLOUD_ETC/designate/designate.conf"; }
start_designate_worker() { start_worker designate-worker --config-file "$CLOUD_ETC/designate/designate.conf"; }

designate_finish() {
  designate_manage pool update --file "$CLOUD_ETC/designate/pools.yaml" >"$LOG_DIR/designate-pool.log" 2>&1 ||
    die_with_log "$LOG_DIR/designate-pool.log" "Designate's pool could not be made"
}
