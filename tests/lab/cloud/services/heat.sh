# shellcheck shell=bash
# Heat: the peer that Kiln is measured against. Not of the core set: LAB_HEAT=1, or "heat" in LAB_SERVICES.

REQUIREMENTS[heat]="openstack-heat==27.0.1 python-heatclient"
DATABASES[heat]=heat
APIS[heat]="heat heat-cfn"
WORKERS[heat]=heat-engine
ENDPOINTS[heat]="heat orchestration http://$HOST:$(port heat)/v1/%(project_id)s
heat-cfn cloudformation http://$HOST:$(port heat-cfn)/v1"
DOMAIN_ADMINS[heat]="heat heat_domain_admin"

heat_configure() {
  {
    common_sections heat "heat_metadata_server_url = http://$HOST:$(port heat-cfn)
heat_waitcondition_server_url = http://$HOST:$(port heat-cfn)/v1/waitcondition
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = $SERVICE_PASSWORD
stack_user_domain_name = heat
num_engine_workers = 2
max_resources_per_stack = -1
max_stacks_per_tenant = 10000
convergence_engine = true
enable_stack_adopt = true
enable_stack_abandon = true
region_name_for_services = $REGION
auth_encryption_key = 0123456789abcdef0123456789abcdef
environment_dir = $VENV/etc/heat/environment.d
template_dir = $VENV/etc/heat/templates
server_keystone_endpoint_type = public
max_json_body_size = 10880000
max_template_size = 5440000"
    authtoken_section heat
    auth_section trustee heat
    cat <<END
[paste_deploy]
api_paste_config = $VENV/etc/heat/api-paste.ini
[clients_keystone]
auth_uri = $KEYSTONE_URL
[clients]
endpoint_type = publicURL
END
  } >"$CLOUD_ETC/heat/heat.conf"
}

heat_migrate() { "$VENV/bin/heat-manage" --config-file "$CLOUD_ETC/heat/heat.conf" db_sync; }

start_heat() { start_api heat heat.wsgi.api 1 8 --pyargv "--config-file $CLOUD_ETC/heat/heat.conf"; }
start_heat_cfn() { start_api heat-cfn heat.wsgi.cfn 1 4 --pyargv "--config-file $CLOUD_ETC/heat/heat.conf"; }
start_heat_engine() { start_worker heat-engine --config-file "$CLOUD_ETC/heat/heat.conf"; }
