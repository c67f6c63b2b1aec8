# shellcheck shell=bash
# Sections that the configuration files of most services share. Each function prints them.

# auth_section SECTION USER: how a service (as USER of the project "service") gets a token.
auth_section() {
  cat <<END
[$1]
auth_url = $KEYSTONE_URL
auth_type = password
username = $2
password = $SERVICE_PASSWORD
project_name = service
user_domain_id = default
project_domain_id = default
region_name = $REGION
END
}

# authtoken_section USER: how a service checks the tokens of its callers.
authtoken_section() {
  auth_section keystone_authtoken "$1"
  cat <<END
www_authenticate_uri = $KEYSTONE_URL
memcached_servers = $HOST:$(port memcached)
service_token_roles = service
service_token_roles_required = true
END
}

# service_user_section USER: long operations outlive the caller's token, if the service sends its own along.
service_user_section() {
  auth_section service_user "$1"
  echo "send_service_user_token = true"
}

# common_sections SERVICE [LINES]: what every service says; LINES go into [DEFAULT].
common_sections() {
  cat <<END
[DEFAULT]
transport_url = $(rabbitmq_url)
use_stderr = true
debug = false
state_path = $CLOUD_DATA/$1
host = lab
${2:-}
[oslo_messaging_notifications]
driver = noop
[oslo_messaging_rabbit]
heartbeat_in_pthread = false
rabbit_quorum_queue = false
[oslo_concurrency]
lock_path = $CLOUD_DATA/lock
[database]
connection = $(database_url "$1")
max_pool_size = 20
max_overflow = 40
[cache]
enabled = true
backend = dogpile.cache.pymemcache
memcache_servers = $HOST:$(port memcached)
[oslo_middleware]
enable_proxy_headers_parsing = true
END
}

# unlimited KEY...: one line "KEY = -1" for each: OpenStack's "no quota".
unlimited() { printf '%s = -1\n' "$@"; }
