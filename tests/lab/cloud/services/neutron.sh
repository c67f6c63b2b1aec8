# shellcheck shell=bash
# Neutron: networks, without agents. plugins/kiln_lab_neutron.py binds every port.

REQUIREMENTS[neutron]="neutron==29.0.0"
DATABASES[neutron]=neutron
APIS[neutron]=neutron
ENDPOINTS[neutron]="neutron network http://$HOST:$(port neutron)"

# With traditional DHCP a port would wait for a DHCP agent. Large ranges of network ids cost a minute at the first start.
neutron_configure() {
  {
    common_sections neutron "core_plugin = ml2
service_plugins = router,segments,trunk,qos,port_forwarding,metering,conntrack_helper,log,local_ip,ndp_proxy
api_paste_config = $VENV/etc/neutron/api-paste.ini
enable_traditional_dhcp = false
dhcp_agents_per_network = 1
dns_domain = lab.test.
notify_nova_on_port_status_changes = true
notify_nova_on_port_data_changes = true
max_allowed_address_pair = 100
max_subnet_host_routes = 100
vlan_transparent = true
global_physnet_mtu = 1500"
    authtoken_section neutron
    auth_section nova nova
    auth_section placement placement
    cat <<END
[ml2]
type_drivers = flat,vlan,vxlan,gre,local,geneve
tenant_network_types = vxlan
mechanism_drivers = kiln_lab,openvswitch
extension_drivers = port_security,qos,dns_domain_ports,uplink_status_propagation,data_plane_status,port_device_profile,port_numa_affinity_policy
[ml2_type_flat]
flat_networks = *
[ml2_type_vlan]
network_vlan_ranges = physnet1:1:4000,public
[ml2_type_vxlan]
vni_ranges = 1:20000
[ml2_type_geneve]
vni_ranges = 1:20000
max_header_size = 38
[ml2_type_gre]
tunnel_id_ranges = 1:1000
[agent]
root_helper =
[quotas]
$(unlimited quota_{network,subnet,port,router,floatingip,security_group,security_group_rule,subnetpool,rbac_policy,trunk})
END
  } >"$CLOUD_ETC/neutron/neutron.conf"
}

neutron_migrate() { "$VENV/bin/neutron-db-manage" --config-file "$CLOUD_ETC/neutron/neutron.conf" upgrade heads; }

# One thread each: with several, the policies' initialisation races.
start_neutron() {
  OS_NEUTRON_CONFIG_DIR=$CLOUD_ETC/neutron OS_NEUTRON_CONFIG_FILES=neutron.conf \
    start_api neutron neutron.wsgi.api 3 1
}
