# shellcheck shell=bash
# Octavia: load balancers without amphorae; the VIP's port is a real one, by plugins/kiln_lab_octavia.py.

REQUIREMENTS[octavia]="octavia==19.0.0 python-octaviaclient"
DATABASES[octavia]=octavia
APIS[octavia]=octavia
WORKERS[octavia]=octavia-worker
ENDPOINTS[octavia]="octavia load-balancer http://$HOST:$(port octavia)"

octavia_configure() {
  local authority=$CLOUD_DATA/octavia/authority
  [ -s "$authority.pem" ] ||
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=lab \
      -keyout "$authority.key" -out "$authority.pem" 2>/dev/null
  octavia_file allowed_address_pairs_driver "$authority" >"$CLOUD_ETC/octavia/api.conf"
  octavia_file kiln_lab "$authority" >"$CLOUD_ETC/octavia/worker.conf"
}

# octavia_file NETWORK_DRIVER AUTHORITY: the API makes the VIP's port for real; the worker must not plug anything.
octavia_file() {
  common_sections octavia
  authtoken_section octavia
  auth_section service_auth octavia
  auth_section neutron octavia
  auth_section nova octavia
  cat <<END
[api_settings]
auth_strategy = keystone
enabled_provider_drivers = amphora:amphora, octavia:amphora
default_provider_driver = amphora
allow_tls_terminated_listeners = true
api_base_uri = http://$HOST:$(port octavia)
[oslo_messaging]
topic = octavia_prov
[controller_worker]
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
image_driver = image_noop_driver
volume_driver = volume_noop_driver
network_driver = $1
amp_flavor_id = 1
amp_boot_network_list = 00000000-0000-0000-0000-000000000001
amp_image_tag = amphora
client_ca = $2.pem
workers = 1
[health_manager]
heartbeat_key = lab
controller_ip_port_list = $HOST:$(port octavia-health)
[certificates]
cert_manager = barbican_cert_manager
ca_certificate = $2.pem
ca_private_key = $2.key
server_certs_key_passphrase = insecure-key-do-not-use-this-key
END
}

octavia_migrate() { "$VENV/bin/octavia-db-manage" --config-file "$CLOUD_ETC/octavia/api.conf" upgrade head; }

start_octavia() { start_api octavia octavia.wsgi.api 1 1 --pyargv "--config-file $CLOUD_ETC/octavia/api.conf"; }
start_octavia_worker() { start_worker octavia-worker --config-file "$CLOUD_ETC/octavia/worker.conf"; }
