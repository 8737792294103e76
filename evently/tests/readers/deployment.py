"""Holds what is written for Compose and Kubernetes to what these read.

    python deployment.py ROOT [SCHEMA]

SCHEMA is compose-spec.json; without it Compose's file is left out. Needs the package kubernetes-validate,
which brings the schemas of Kubernetes, PyYAML and jsonschema. Prints what is wrong, and ends with 1.
"""

import ipaddress
import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

# The first that can have a container sleep before it is stopped, and one of today.
KUBERNETES = ["1.30", "1.33"]


def of_kubernetes(root):
    files = sorted((root / "deploy/kubernetes").glob("*.yaml"))
    if not files:
        yield "there are no manifests"
    for file in files:
        for manifest in yaml.safe_load_all(file.read_text()):
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(manifest, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    where = ".".join(map(str, error.path))
                    yield f"{file.name}: {manifest['kind']} {where}: {error.message}"


def of_kustomize(root):
    """What the manifests are put together from is there."""
    whole = yaml.safe_load((root / "deploy/kustomization.yaml").read_text())
    files = whole["resources"] + [f for made in whole["configMapGenerator"] for f in made["files"]]
    for file in files:
        file = file.split("=")[-1]
        if ".." in file or not (root / "deploy" / file).is_file():
            yield f"kustomization.yaml: {file} is not below it"
    made = {made["name"] for made in whole["configMapGenerator"]}
    for file in whole["resources"]:
        for manifest in yaml.safe_load_all((root / "deploy" / file).read_text()):
            if manifest["kind"] == "ConfigMap":
                made.add(manifest["metadata"]["name"])
    for file in whole["resources"]:
        for manifest in yaml.safe_load_all((root / "deploy" / file).read_text()):
            template = manifest.get("spec", {}).get("template", {}).get("spec", {})
            for volume in template.get("volumes", []):
                wanted = volume.get("configMap", {}).get("name")
                if wanted and wanted not in made:
                    yield f"{file}: nobody makes the ConfigMap {wanted}"


def of_addresses(root):
    """An address that a service is given is handed out to no other one."""
    stack = yaml.safe_load((root / "docker-compose.yml").read_text())
    for name, service in stack["services"].items():
        networks = service.get("networks") or {}
        fixed = {} if isinstance(networks, list) else networks
        for network, terms in fixed.items():
            address = (terms or {}).get("ipv4_address")
            if not address:
                continue
            address = ipaddress.ip_address(address)
            [pool] = stack["networks"][network]["ipam"]["config"]
            subnet, handed_out = pool["subnet"], pool.get("ip_range", pool["subnet"])
            if address not in ipaddress.ip_network(subnet):
                yield f"docker-compose.yml: {name} is given {address}, which is not in {subnet}"
            if address in ipaddress.ip_network(handed_out):
                yield f"docker-compose.yml: {name} is given {address}, which others may get first"
            if not ipaddress.ip_network(handed_out).subnet_of(ipaddress.ip_network(subnet)):
                yield f"docker-compose.yml: {handed_out} is not in {subnet}"


def of_compose(root, schema):
    stack = yaml.safe_load((root / "docker-compose.yml").read_text())
    for error in jsonschema.Draft7Validator(json.loads(schema.read_text())).iter_errors(stack):
        yield f"docker-compose.yml: {error.json_path}: {error.message}"
    for name, service in stack["services"].items():
        for other in service.get("depends_on", []):
            if other not in stack["services"]:
                yield f"docker-compose.yml: {name} depends on {other}, which there is not"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not (root / source).exists():
                    yield f"docker-compose.yml: {name} is given {source}, which there is not"
            elif source not in stack["volumes"]:
                yield f"docker-compose.yml: {name} is given the volume {source}, which there is not"


def main(root, schema=None):
    root = pathlib.Path(root)
    wrong = [*of_kubernetes(root), *of_kustomize(root), *of_addresses(root)]
    if schema:
        wrong += of_compose(root, pathlib.Path(schema))
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
