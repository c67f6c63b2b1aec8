# shellcheck shell=bash
# Mistral: workflows. Its lists have been seen to hang here.

REQUIREMENTS[mistral]="mistral==23.0.0 python-mistralclient"
DATABASES[mistral]=mistral
APIS[mistral]=mistral
ENDPOINTS[mistral]="mistral workflowv2 http://$HOST:$(port mistral)/v2"

mistral_configure() {
  {
    common_sections mistral
    authtoken_section mistral
    cat <<END
[api]
host = $HOST
port = $(port mistral)
api_workers = 1
[pecan]
auth_enable = true
[engine]
execution_field_size_limit_kb = -1
[cron_trigger]
enabled = true
[keystone]
auth_url = $KEYSTONE_URL/v3
END
  } >"$CLOUD_ETC/mistral/mistral.conf"
}

mistral_migrate() {
  "$VENV/bin/mistral-db-manage" --config-file "$CLOUD_ETC/mistral/mistral.conf" upgrade head
  "$VENV/bin/mistral-db-manage" --config-file "$CLOUD_ETC/mistral/mistral.conf" populate
}

start_mistral() {
  launch mistral "$VENV/bin/mistral-server" --config-file "$CLOUD_ETC/mistral/mistral.conf" --server engine,executor,api
}
