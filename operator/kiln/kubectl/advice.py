"""The next step for each reason that a condition or a resource may have. docs/operations.md says more."""

from collections.abc import Mapping
from typing import Final

from kiln.api.v1alpha1 import Reason
from reconcilers.model import Fault

_SEE_RESOURCE: Final = (
    "look at the resource in OpenStack, remove the cause, then: kubectl stack retry {stack} -n {namespace}"
)
_CORRECT: Final = "correct the path that the message names, and apply the Stack again"
_WATCH: Final = "nothing; to watch: kubectl stack wait {stack} -n {namespace}"
_CREATE: Final = "create the object that the message names: Kiln notices it and goes on"
_REPORT: Final = "report it: the operator's log has more"

ADVICE: Final[Mapping[str, str]] = {
    Reason.SUCCEEDED: "nothing",
    Reason.PROGRESSING: _WATCH,
    Reason.DELETING: "nothing; to watch: kubectl stack wait {stack} -n {namespace} --for deleted",
    Reason.INVALID_TEMPLATE: f"{_CORRECT}; `kiln validate` shows all problems with their lines",
    Reason.INVALID_PARAMETER: "give another value: kubectl stack edit-param {stack} -n {namespace}",
    Reason.INVALID_FILE: "put UTF-8 text into the ConfigMap or Secret that the message names",
    Reason.INPUTS_TOO_LARGE: "make the inputs smaller, or split the Stack",
    Reason.CONFIG_MAP_NOT_FOUND: _CREATE,
    Reason.SECRET_NOT_FOUND: _CREATE,
    Reason.KEY_NOT_FOUND: "add the key that the message names: Kiln notices it and goes on",
    Reason.CREDENTIALS_NOT_FOUND: "create the Secret of spec.cloudCredentialsRef: Kiln notices it and goes on",
    Reason.INVALID_CREDENTIALS: "correct clouds.yaml in the Secret of spec.cloudCredentialsRef",
    Reason.NAME_TAKEN: "rename the Secret {stack}-kiln, which is not Kiln's, or the Stack",
    Reason.TIMED_OUT: "find out why what the message names takes so long, or raise spec.timeout",
    Reason.ROLLED_BACK: "correct the spec and apply it: Kiln does not try the same revision again",
    Reason.ROLLBACK_INCOMPLETE: "change the spec: the message names what could not be undone",
    Reason.ROLLBACK_IMPOSSIBLE: "correct the spec, or set spec.onFailure to Retry: Kiln goes on with what exists",
    Reason.INVALID_SPEC: "correct the field of the spec that the message names",
    Reason.BLOCKED: "remove one of the references between the resources that the message names, and report it",
    Reason.KUBERNETES_REFUSED: "grant the right or the quota that the message names: Kiln retries by itself",
    Reason.INTERNAL_ERROR: _REPORT,
    Reason.PAUSED: "set spec.paused to false when the operator is to go on",
    Reason.CANCELLED: "change the spec, or go on with it: kubectl stack retry {stack} -n {namespace}",
    Reason.HOOK_PENDING: "clear the hook that the message names: create a StackOperation with the type ClearHook",
    Reason.WAITING_FOR_STACK: "wait, or create the other Stack: Kiln notices it and goes on",
    Reason.CIRCULAR_REFERENCE: "remove one of the references between the Stacks that the message names",
    Reason.DELETION_BLOCKED: "delete the Stacks that the message names first, or force it: "
    "kubectl annotate stk {stack} -n {namespace} kiln.dev/force-delete=true",
    Reason.SUSPENDED: "set spec.powerState to Running to resume",
    Reason.SUSPENDING: _WATCH,
    Reason.RESUMING: _WATCH,
    Reason.AWAITING_APPROVAL: "read the plan that the message names (kubectl get stkcs -n {namespace}) and approve it, "
    "or change the spec",
    Reason.PROTECTED: "change the template, or take the resource out of spec.protectedResources",
    "ResolutionFailed": _CORRECT,
    Fault.EVALUATION: "give the operator more memory and CPU, or simplify the expression; Kiln retries by itself",
    Fault.TRANSIENT: "check the service; Kiln retries by itself. At once: kubectl stack retry {stack} -n {namespace}",
    Fault.RATE_LIMITED: "nothing; lower spec.maxConcurrency if it lasts",
    Fault.CONFLICT: "free what holds the resource; Kiln retries by itself",
    Fault.QUOTA: "raise the project's quota or free something; Kiln retries by itself. At once: "
    "kubectl stack retry {stack} -n {namespace}",
    Fault.INVALID: "change the template at this path, and apply the Stack again",
    Fault.AUTH: "put valid credentials into the Secret of spec.cloudCredentialsRef: Kiln retries by itself",
    Fault.RESOURCE: _SEE_RESOURCE,
}

_SERVICES: Final[Mapping[str, str]] = {
    "Nova": "Nova",
    "Neutron": "Neutron",
    "Cinder": "Cinder",
    "Glance": "Glance",
    "Keystone": "Keystone",
    "Octavia": "Octavia",
    "Barbican": "Barbican",
    "Designate": "Designate",
    "Manila": "Manila",
    "Swift": "Swift",
    "EC2": "Nova",
}


def next_step(reason: str, stack: str, namespace: str) -> str:
    """What to do about a reason; where to look if it is not known."""
    text = ADVICE.get(reason, "read the message, and the events: kubectl stack events {stack} -n {namespace}")
    return text.format(stack=stack, namespace=namespace)


def service_of(resource_type: str) -> str:
    """The service in whose log the request id of a resource's call is; ``the service`` if it is not known."""
    parts = resource_type.split("::")
    return _SERVICES.get(parts[1], "the service") if len(parts) > 1 else "the service"
