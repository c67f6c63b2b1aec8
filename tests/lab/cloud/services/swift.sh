# shellcheck shell=bash
# Swift: objects, in one copy on one "device" that is a folder.

REQUIREMENTS[swift]="swift==2.38.3 python-swiftclient"
APIS[swift]=swift
WORKERS[swift]="swift-account swift-container swift-object"
ENDPOINTS[swift]="swift object-store http://$HOST:$(port swift)/v1/AUTH_%(project_id)s"

swift_configure() {
  local kind
  printf '[swift-hash]\nswift_hash_path_suffix = lab\nswift_hash_path_prefix = lab\n' >"$CLOUD_ETC/swift/swift.conf"
  mkdir -p "$CLOUD_DATA/swift/device"
  for kind in account container object; do
    [ -e "$CLOUD_ETC/swift/$kind.ring.gz" ] || swift_ring "$kind"
    swift_server_file "$kind" >"$CLOUD_ETC/swift/$kind.conf"
  done
  swift_proxy_file >"$CLOUD_ETC/swift/proxy.conf"
}

# swift_ring KIND: where the objects of KIND lie: all on the one device.
swift_ring() {
  (
    cd "$CLOUD_ETC/swift" || return
    rm -f "$1.builder"
    "$VENV/bin/swift-ring-builder" "$1.builder" create 6 1 1
    "$VENV/bin/swift-ring-builder" "$1.builder" add "r1z1-$HOST:$(port "swift-$1")/device" 1
    "$VENV/bin/swift-ring-builder" "$1.builder" rebalance
  ) >>"$LOG_DIR/swift-ring.log" 2>&1
}

# swift_server_file KIND: the account, container or object server.
swift_server_file() {
  cat <<END
[DEFAULT]
bind_ip = $HOST
bind_port = $(port "swift-$1")
swift_dir = $CLOUD_ETC/swift
devices = $CLOUD_DATA/swift
mount_check = false
workers = 0
user = $(id -un)
log_address = /dev/null
recon_cache_path = $CLOUD_DATA/swift
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
allow_versions = true
END
}

# swift_proxy_file: the API. Filters without settings are listed first.
swift_proxy_file() {
  local filter
  cat <<END
[DEFAULT]
bind_ip = $HOST
bind_port = $(port swift)
swift_dir = $CLOUD_ETC/swift
workers = 0
user = $(id -un)
log_address = /dev/null
[pipeline:main]
pipeline = catch_errors healthcheck cache bulk tempurl authtoken keystoneauth copy container_quotas account_quotas slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
END
  for filter in catch_errors healthcheck bulk tempurl copy slo dlo container_quotas account_quotas; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' "$filter" "$filter"
  done
  cat <<END
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = $HOST:$(port memcached)
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
$(authtoken_section swift | tail -n +2)
END
}

start_swift() { launch swift "$VENV/bin/swift-proxy-server" "$CLOUD_ETC/swift/proxy.conf"; }
start_swift_account() { launch swift-account "$VENV/bin/swift-account-server" "$CLOUD_ETC/swift/account.conf"; }
start_swift_container() { launch swift-container "$VENV/bin/swift-container-server" "$CLOUD_ETC/swift/container.conf"; }
start_swift_object() { launch swift-object "$VENV/bin/swift-object-server" "$CLOUD_ETC/swift/object.conf"; }
