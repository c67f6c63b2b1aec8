"""Octavia's worker without amphorae: nothing is plugged, but subnets and networks are those of Neutron.

octavia-api, with the driver allowed_address_pairs, makes the VIP's port; this one removes it.
"""

import functools

from octavia.network import base
from octavia.network.drivers.neutron.allowed_address_pairs import AllowedAddressPairsDriver
from octavia.network.drivers.noop_driver.driver import NoopNetworkDriver


@functools.cache
def neutron_driver():
    """The driver that asks Neutron; made late, since it asks for a token at once."""
    return AllowedAddressPairsDriver()


class LookupOnly(NoopNetworkDriver):
    """The driver that does nothing, but for lookups and the VIP's port."""

    def get_subnet(self, subnet_id, context=None):
        """From Neutron, or made up where Neutron does not know it (the amphorae's own)."""
        try:
            return neutron_driver().get_subnet(subnet_id)
        except base.SubnetNotFound:
            return super().get_subnet(subnet_id)

    def get_network(self, network_id, context=None):
        """From Neutron, or made up where Neutron does not know it (the amphorae's own)."""
        try:
            return neutron_driver().get_network(network_id)
        except base.NetworkNotFound:
            return super().get_network(network_id)

    def deallocate_vip(self, vip):
        """Remove the port, if Octavia made it."""
        proxy = neutron_driver().network_proxy
        port = proxy.find_port(vip.port_id, ignore_missing=True)
        if port and port.device_owner == "Octavia":
            proxy.delete_port(port.id, ignore_missing=True)
