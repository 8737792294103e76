"""Holds what is written for Compose and Kubernetes to what these read.

    python deployment.py ROOT [SCHEMA]

SCHEMA is compose-spec.json; without it Compose's file is left out. Needs the package kubernetes-validate,
which brings the schemas of Kubernetes, PyYAML and jsonschema. Prints what is wrong, and ends with 1.
"""

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
    wrong = list(of_kubernetes(pathlib.Path(root)))
    if schema:
        wrong += of_compose(pathlib.Path(root), pathlib.Path(schema))
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
