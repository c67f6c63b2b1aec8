# shellcheck shell=bash
# Keystone: users, projects, the catalogue.

REQUIREMENTS[keystone]="keystone==30.0.0 python-openstackclient PyMySQL python-memcached pymemcache pyuwsgi setuptools"
DATABASES[keystone]=keystone
APIS[keystone]=keystone

keystone_configure() {
  mkdir -p "$CLOUD_DATA"/keystone/{fernet,receipts,credential}
  {
    common_sections keystone
    cat <<END
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = $CLOUD_DATA/keystone/fernet
[fernet_receipts]
key_repository = $CLOUD_DATA/keystone/receipts
[credential]
key_repository = $CLOUD_DATA/keystone/credential
[identity]
password_hash_rounds = 4
END
  } >"$CLOUD_ETC/keystone/keystone.conf"
}

keystone_migrate() {
  local owner=(--keystone-user "$(id -un)" --keystone-group "$(id -gn)")
  keystone_manage db_sync
  keystone_manage fernet_setup "${owner[@]}"
  keystone_manage credential_setup "${owner[@]}"
  keystone_manage bootstrap --bootstrap-password "$SERVICE_PASSWORD" --bootstrap-region-id "$REGION" \
    --bootstrap-admin-url "$KEYSTONE_URL" --bootstrap-public-url "$KEYSTONE_URL" \
    --bootstrap-internal-url "$KEYSTONE_URL"
}

# keystone_manage ARGUMENT...: Keystone's own command.
keystone_manage() { "$VENV/bin/keystone-manage" --config-file "$CLOUD_ETC/keystone/keystone.conf" "$@"; }

start_keystone() {
  OS_KEYSTONE_CONFIG_DIR=$CLOUD_ETC/keystone start_api keystone keystone.wsgi.api "$LAB_WORKERS" 4
}
