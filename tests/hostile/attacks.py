"""What a tenant that means harm puts into its namespace, by kinds: each gives Stacks, Secrets and ConfigMaps."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from harness.stacks import SECRET

Object = dict[str, Any]
CLOUD = "own"
HEADER = "heat_template_version: 2021-04-16\n"
NET = HEADER + "resources: {net: {type: OS::Neutron::Net}}\n"
ASKS = (
    HEADER
    + "parameters: {n: {type: string, default: x, constraints: [{custom_constraint: neutron.network}]}}\n"
    + "resources: {net: {type: OS::Neutron::Net}}\n"
)
PRECIOUS = "prod"
"""The Stack whose Secret's name the tenant has taken before."""
FLOOD = 60
MAKES = ("bomb", "drip-body", "silence", "echo", "escape", "garbage", "later", "redirect", "endpoint")
"""Clouds that are asked to make something at once. The others are asked for a name before."""


def stack(name: str, template: str, secret: str = SECRET, **spec: Any) -> Object:
    """A Stack with a template as text."""
    body = {"cloudCredentialsRef": {"secretName": secret, "cloudName": CLOUD}, "templateBody": template, **spec}
    return {"apiVersion": "kiln.dev/v1alpha1", "kind": "Stack", "metadata": {"name": name}, "spec": body}


def secret(name: str, data: Mapping[str, str], **metadata: Any) -> Object:
    """A Secret of texts."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **metadata}, "data": encoded}


def clouds_yaml(url: str) -> str:
    """The credentials for a cloud at this URL."""
    auth = {"auth_url": f"{url}/v3", "username": "u", "password": "Evil-Password-1", "project_name": "p"}
    auth |= {"user_domain_name": "d", "project_domain_name": "d"}
    return yaml.safe_dump({"clouds": {CLOUD: {"auth": auth}}})


def _yaql(expression: str, data: str = "") -> str:
    given = f", data: {data}" if data else ""
    return f"{{yaql: {{expression: {json.dumps(expression)}{given}}}}}"


def _doubled(levels: int, seed: str = "1") -> str:
    return f"range({levels}).aggregate([$1,$1], {seed})"


def bombs() -> dict[str, str]:
    """Templates that ask for too much of everything, by their kinds."""
    double = _doubled(60)
    expressions = {
        "equal": f"[{double}] = [{double}]",
        "text": f"str({double}).len()",
        "flatten": f"{_doubled(26)}.flatten().len()",
        "set": f"[{double}].toSet().len()",
        "loop": "list(range(190)).select(list(range(190)).select($*2+1-1).sum()).sum()",
        "repeat": "([1] * 100000000).len()",
    }
    found = {
        f"yaql-{name}": f"{HEADER}outputs: {{o: {{value: {_yaql(expression)}}}}}\n"
        for name, expression in expressions.items()
    }
    value = "{type: OS::Heat::Value, properties: {value: x}}"
    later = "".join(f"  o{n}: {{value: {_yaql(expressions['loop'], '{get_attr: [v, value]}')}}}\n" for n in range(12))
    found["yaql-later"] = f"{HEADER}resources: {{v: {value}}}\noutputs:\n{later}"
    chain = {"v0": {"type": "OS::Heat::Value", "properties": {"value": [1]}}}
    for level in range(1, 30):
        doubled = [{"get_attr": [f"v{level - 1}", "value"]}] * 2
        chain[f"v{level}"] = {"type": "OS::Heat::Value", "properties": {"value": doubled}}
    found["chain"] = HEADER + f"resources: {json.dumps(chain)}\n"
    numbers = json.dumps([str(n) for n in range(40)])
    wide = json.dumps([{}] * 1000)
    each = f"{{for_each: {{'%a%': {numbers}, '%b%': {numbers}}}, template: {wide}}}"
    found["repeat"] = f"{HEADER}outputs: {{o: {{value: {{repeat: {each}}}}}}}\n"
    group = "{type: OS::Heat::ResourceGroup, properties: {count: %d, resource_def: %s}}"
    member = '{type: OS::Heat::Value, properties: {value: "%index%"}}'
    found["group-large"] = f"{HEADER}resources: {{g: {group % (19_990, member)}}}\n"
    found["group"] = f"{HEADER}resources: {{g: {group % (49990, member)}}}\n"
    for number in range(4):
        large = f"{{g: {group % (19_990 - number, member)}}}"
        found[f"group-asks-{number}"] = ASKS.replace("{net: {type: OS::Neutron::Net}}", large)
    nested = group % (40, group % (40, group % (40, member)))
    found["group-nested"] = f"{HEADER}resources: {{g: {nested}}}\n"
    aliases = "\n".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    found["aliases"] = f"{HEADER}x:\n  a0: &a0 [lol]\n{aliases}\n"
    found["deep"] = f"{HEADER}outputs: {{o: {{value: {'[' * 20_000}{']' * 20_000}}}}}\n"
    pattern = "'((a+)+)+b'"
    found["pattern"] = (
        f"{HEADER}parameters: {{p: {{type: string, default: {'a' * 5000}, "
        f"constraints: [{{allowed_pattern: {pattern}}}]}}}}\n"
    )
    big = "x" * 3_000
    replaced = f"{{str_replace: {{template: {'y' * 3_000}, params: {{y: {big}}}}}}}"
    found["growth"] = HEADER + "outputs:\n" + "".join(f"  o{n}: {{value: {replaced}}}\n" for n in range(20))
    found["outputs"] = HEADER + "outputs:\n" + "".join(f"  o{n}: {{value: {'z' * 30_000}}}\n" for n in range(30))
    wrong = "{type: OS::Nova::Server, properties: {imag: {get_resource: x%d}}}"
    found["mistakes"] = HEADER + "resources:\n" + "".join(f"  r{n}: {wrong % n}\n" for n in range(6000))
    return found


def of_templates() -> Iterator[Object]:
    """Stacks with each of the bombs."""
    for name, text in bombs().items():
        yield stack(f"bomb-{name}", text)


def of_clouds(urls: Mapping[str, str]) -> Iterator[Object]:
    """Credentials for hostile clouds, and Stacks that use them."""
    for name, url in urls.items():
        yield secret(f"at-{name}", {"clouds.yaml": clouds_yaml(url)})
        yield stack(f"asks-{name}", ASKS, f"at-{name}", timeout="10s")
        if name in MAKES:
            yield stack(f"makes-{name}", NET, f"at-{name}", timeout="10s")


def of_guesses(url: str, guesses: list[str]) -> Iterator[Object]:
    """A cloud that says again what it gets: is one of the guesses another tenant's secret?"""
    yield secret("at-guesses", {"clouds.yaml": clouds_yaml(url)})
    for number, guess in enumerate(guesses):
        template = f"{HEADER}resources: {{net: {{type: OS::Neutron::Net, properties: {{name: '{guess}'}}}}}}\n"
        yield stack(f"guess-{number}", template, "at-guesses")


def of_secrets() -> Iterator[Object]:
    """Secrets that begin alike and a text of their beginnings; clouds.yaml files with a typing error in a password."""
    yield secret("alike", {"k": "\n".join(f"{'aaaa' * 4}{n:06}" for n in range(4990))})
    template = f"""{HEADER}parameters:
  s: {{type: string}}
  p: {{type: string, constraints: [{{allowed_pattern: 'b*'}}]}}
"""
    given = [{"name": "s", "secretKeyRef": {"name": "alike", "key": "k"}}]
    yield stack("alike", template, parameters={"p": "a" * 20_000}, parametersFrom=given)
    broken = {
        "tag": "password: !Evil-Password-2",
        "alias": "password: *Evil-Password-2",
        "blank": "password:Evil-Password-2",
        "set": "? password:Evil-Password-2",
        "list": "password: [Evil-Password-2]",
    }
    for name, line in broken.items():
        text = f"clouds:\n  {CLOUD}:\n    auth:\n      auth_url: http://127.0.0.1/v3\n      username: u\n      {line}\n"
        yield secret(f"broken-{name}", {"clouds.yaml": text})
        yield stack(f"broken-{name}", NET, f"broken-{name}")


def of_deputies(others: str, theirs: str) -> Iterator[Object]:
    """What leads the operator to what is not the tenant's: ``theirs`` is a Secret of the namespace ``others``."""
    yield secret(f"{PRECIOUS}-kiln", {"precious": "data"}, finalizers=["example.com/keep"])
    yield stack(PRECIOUS, f"{HEADER}resources: {{v: {{type: OS::Heat::None}}}}\n")
    template = f"{HEADER}parameters: {{p: {{type: string}}}}\noutputs: {{o: {{value: {{get_param: p}}}}}}\n"
    places = [theirs, f"{others}/{theirs}", f"../../{others}/secrets/{theirs}", f"{theirs}?namespace={others}"]
    for number, place in enumerate(places):
        given = [{"name": "p", "secretKeyRef": {"name": place, "key": "token"}}]
        yield stack(f"foreign-{number}", template, parametersFrom=given)
        yield stack(f"foreign-cloud-{number}", NET, place)


def of_numbers() -> Iterator[Object]:
    """Many Stacks that fail, each with a text of its own."""
    for number in range(FLOOD):
        port = "{type: OS::Neutron::Port, properties: {network: no-such-network}}"
        yield stack(f"flood-{number}", f"{HEADER}description: flood {number}\nresources: {{port: {port}}}\n")
