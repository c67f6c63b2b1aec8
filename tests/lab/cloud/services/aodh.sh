# shellcheck shell=bash
# Aodh: alarms. It reads its configuration from the home directory.

REQUIREMENTS[aodh]="aodh==23.0.0"
DATABASES[aodh]=aodh
APIS[aodh]=aodh
WORKERS[aodh]="aodh-evaluator aodh-notifier"
ENDPOINTS[aodh]="aodh alarming http://$HOST:$(port aodh)"

aodh_configure() {
  mkdir -p "$SERVICE_HOME/.aodh"
  {
    common_sections aodh
    authtoken_section aodh
    auth_section service_credentials aodh
    cat <<END
interface = public
[evaluator]
evaluation_interval = 5
workers = 1
[api]
auth_mode = keystone
END
  } >"$SERVICE_HOME/.aodh/aodh.conf"
}

aodh_migrate() { HOME=$SERVICE_HOME "$VENV/bin/aodh-dbsync"; }

start_aodh() { HOME=$SERVICE_HOME start_api aodh aodh.wsgi.api 1 1; }
start_aodh_evaluator() { HOME=$SERVICE_HOME start_worker aodh-evaluator; }
start_aodh_notifier() { HOME=$SERVICE_HOME start_worker aodh-notifier; }
