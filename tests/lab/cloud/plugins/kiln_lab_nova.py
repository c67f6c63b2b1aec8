"""Nova's fake hypervisor, with a node and instances that survive a restart of nova-compute.

The stock driver gives its node another uuid at each start, and then refuses to run beside what it finds in the
database; it forgets the instances, which Nova takes for powered off; and it leaves the image of a server queued.
"""

import io
import uuid

from nova import context, objects
from nova.compute import power_state
from nova.image import glance
from nova.virt import fake


def node_uuid(name):
    """The same uuid for the same node, always."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


class PersistentFakeDriver(fake.FakeDriver):
    """The fake driver, filled from the database when it starts."""

    def init_host(self, host):
        """Take over the instances that the database has for this host."""
        super().init_host(host)
        for instance in objects.InstanceList.get_by_host(context.get_admin_context(), host):
            state = instance.power_state or power_state.RUNNING
            self.instances[instance.uuid] = fake.FakeInstance(instance, state, instance.uuid)

    def get_nodenames_by_uuid(self, refresh=False):
        """The nodes, by the uuids that node_uuid gives them."""
        return {node_uuid(name): name for name in self.get_available_nodes()}

    def get_available_resource(self, nodename):
        """The stock driver's figures, under the node's lasting uuid."""
        return {**super().get_available_resource(nodename), "uuid": node_uuid(nodename)}

    def snapshot(self, context, instance, image_id, update_task_state):
        """The image of a server gets some content, so that Glance makes it active."""
        super().snapshot(context, instance, image_id, update_task_state)
        formats = {"disk_format": "raw", "container_format": "bare"}
        glance.API().update(context, image_id, formats, io.BytesIO(b"lab"), purge_props=False)
