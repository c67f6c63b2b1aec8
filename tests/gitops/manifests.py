"""Manifests for the repository, as text."""

from typing import Any

import yaml
from harness.project import CLOUD
from harness.stacks import SECRET


def network(name: str, *, dns: str = "192.0.2.1") -> str:
    """A template of a network of this name and a subnet, whose name servers change in place."""
    return f"""heat_template_version: 2021-04-16
resources:
  net:
    type: OS::Neutron::Net
    properties: {{name: {name}}}
  subnet:
    type: OS::Neutron::Subnet
    properties:
      network: {{get_resource: net}}
      cidr: 10.0.0.0/24
      dns_nameservers: [{dns}]
outputs:
  net: {{value: {{get_resource: net}}}}
"""


def chain(length: int) -> str:
    """A template whose resources wait for each other, so that it takes a while."""
    lines = ["heat_template_version: 2021-04-16", "resources:"]
    for i in range(length):
        before = f", depends_on: net{i - 1}" if i else ""
        lines.append(f"  net{i}: {{type: OS::Neutron::Net{before}}}")
    return "\n".join(lines) + "\n"


def stack(name: str, template: str = "", *, wave: int | None = None, **spec: Any) -> str:
    """A Stack's manifest; ``spec`` adds to its spec, as templateRef does in place of a template."""
    annotations = {} if wave is None else {"annotations": {"argocd.argoproj.io/sync-wave": str(wave)}}
    body = {"templateBody": template} if template else {}
    manifest = {
        "apiVersion": "kiln.dev/v1alpha1",
        "kind": "Stack",
        "metadata": {"name": name, **annotations},
        "spec": {"cloudCredentialsRef": {"secretName": SECRET, "cloudName": CLOUD}, **body, **spec},
    }
    return yaml.safe_dump(manifest, sort_keys=False)


BROKEN = """heat_template_version: 2021-04-16
resources:
  net: {type: OS::Neutron::Nett}
"""

KUSTOMIZATION = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [stack.yaml]
configMapGenerator:
  - name: web-template
    files: [template.yaml]
configurations: [kiln.yaml]
"""
REFERENCES = """nameReference:
  - kind: ConfigMap
    fieldSpecs:
      - {kind: Stack, path: spec/templateRef/configMapName}
"""
