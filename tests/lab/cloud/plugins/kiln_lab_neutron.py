"""Neutron without agents: every port binds, and a floating IP is as active as an l3 agent would report it."""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins.ml2 import api


class AlwaysBind(api.MechanismDriver):
    """A mechanism driver that binds a port to the first segment of its network, on whichever host."""

    def initialize(self):
        """Subscribe to floating IPs; Neutron calls this once a process, before any request."""
        from neutron import policy

        policy.init()  # not thread safe, so not left to the first requests
        for event in (events.AFTER_CREATE, events.AFTER_UPDATE):
            registry.subscribe(self._report_floating_ip, resources.FLOATING_IP, event)

    def _report_floating_ip(self, resource, event, trigger, payload):
        from neutron.objects.router import FloatingIP

        floating_ip = FloatingIP.get_object(payload.context.elevated(), id=payload.resource_id)
        if floating_ip is None:
            return
        status = constants.FLOATINGIP_STATUS_ACTIVE if floating_ip.fixed_port_id else constants.FLOATINGIP_STATUS_DOWN
        if floating_ip.status != status:
            floating_ip.status = status
            floating_ip.update()

    @property
    def connectivity(self):
        """Ports are on layer 2."""
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        """Bind, and report the port as ACTIVE at once: no agent will do it."""
        details = {
            portbindings.CAP_PORT_FILTER: True,
            portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2,
        }
        for segment in context.segments_to_bind[:1]:
            context.set_binding(
                segment[api.ID], portbindings.VIF_TYPE_OVS, details, status=constants.PORT_STATUS_ACTIVE
            )

    def check_vlan_transparency(self, context):
        """Networks with vlan_transparent are accepted."""
        return True

    def filter_hosts_with_segment_access(self, context, segments, candidate_hosts, agent_getter):
        """Every host reaches every segment."""
        return set(candidate_hosts)
