# shellcheck shell=bash
# Barbican: secrets. It reads its configuration from the home directory only.

REQUIREMENTS[barbican]="barbican==23.0.0 python-barbicanclient"
DATABASES[barbican]=barbican
APIS[barbican]=barbican
ENDPOINTS[barbican]="barbican key-manager http://$HOST:$(port barbican)"

barbican_configure() {
  mkdir -p "$SERVICE_HOME/.barbican"
  {
    common_sections barbican "host_href = http://$HOST:$(port barbican)"
    authtoken_section barbican
    cat <<END
[queue]
enable = false
[secretstore]
namespace = barbican.secretstore.plugin
enabled_secretstore_plugins = store_crypto
[crypto]
namespace = barbican.crypto.plugin
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=
END
  } >"$SERVICE_HOME/.barbican/barbican.conf"
}

barbican_migrate() { HOME=$SERVICE_HOME "$VENV/bin/barbican-manage" db upgrade; }

start_barbican() { HOME=$SERVICE_HOME start_api barbican kiln_lab_barbican 1 1; }
