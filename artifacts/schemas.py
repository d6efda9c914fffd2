"""JSON schemas of Kubernetes' objects, for kubeconform, in the cache.

They are made from the API's own specification, which comes with the module of Kubernetes through
the Go module proxy. A schema has every field of its kind, and allows no other.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from artifacts.cache import cache
from artifacts.fetch import FetchError, fetch
from artifacts.folder import make_folder
from artifacts.go import proxy
from artifacts.kubernetes import VERSION
from tools.say import fail, say

MODULE = "k8s.io/kubernetes"
ZIP_SHA256 = "dcfaeb46861398df1c931948c9775b31cbe6eba35cc97ed1bb87106ab7327b9e"
SPECIFICATION = f"{MODULE}@v{VERSION}/api/openapi-spec/swagger.json"
RECORD = "schemas.json"
SHARED = "_definitions.json"
NAMES = "{{.ResourceKind}}{{.KindSuffix}}.json"
"""How kubeconform is to look for a kind's file."""
STRING_OR_INTEGER = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
STRING_OR_NUMBER = {"oneOf": [{"type": "string"}, {"type": "number"}]}
LOOSE = {"util.intstr.IntOrString": STRING_OR_INTEGER, "api.resource.Quantity": STRING_OR_NUMBER}


def provide_schemas() -> Path:
    """The folder of schemas, made if need be. Ends the script with advice if it can't be."""
    home = _home()

    def fill(new: Path) -> dict[str, Any]:
        archive = new / "module.zip"
        url = f"{proxy()}/{MODULE}/@v/v{VERSION}.zip"
        say(f"fetching {url} (22 MB)")
        fetch(url, archive, ZIP_SHA256)
        with zipfile.ZipFile(archive) as contents:
            document = json.loads(contents.read(SPECIFICATION))
        archive.unlink()
        for name, schema in schemas(document):
            (new / name).write_text(json.dumps(schema))
        return {}

    try:
        make_folder(home, RECORD, {"version": VERSION, "zip_sha256": ZIP_SHA256}, fill)
    except (FetchError, OSError) as error:
        fail(f"the schemas of Kubernetes {VERSION} could not be made: {error}")
    return home


def cached_schemas() -> Path | None:
    """The folder, if it is in the cache."""
    return _home() if (_home() / RECORD).exists() else None


def _home() -> Path:
    return cache() / "schemas" / f"kubernetes-{VERSION}"


def schemas(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Files for kubeconform, by name, from an OpenAPI document of version 2."""
    definitions = document["definitions"]
    shared = {name: _strict(one) for name, one in definitions.items()}
    for end, loose in LOOSE.items():
        shared |= {name: loose for name in shared if name.endswith(end)}
    yield SHARED, {"definitions": shared}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            yield _of_kind(shared[name], kind)


def _of_kind(schema: Any, kind: dict[str, str]) -> tuple[str, dict[str, Any]]:
    text = json.dumps(schema).replace('"#/definitions/', f'"{SHARED}#/definitions/')
    own: dict[str, Any] = json.loads(text)
    fields = own.setdefault("properties", {})
    version = f"{kind['group']}/{kind['version']}".lstrip("/")
    fields["apiVersion"] = {"type": "string", "enum": [version]}
    fields["kind"] = {"type": "string", "enum": [kind["kind"]]}
    own["required"] = sorted({*own.get("required", []), "apiVersion", "kind"})
    group = [kind["group"].partition(".")[0]] if kind["group"] else []
    return "-".join([kind["kind"].lower(), *group, kind["version"]]) + ".json", own


def _strict(value: Any) -> Any:
    """The schema with no fields but those that it names."""
    if isinstance(value, list):
        return [_strict(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("format") == "int-or-string":
        return STRING_OR_INTEGER
    found = {name: _strict(one) for name, one in value.items()}
    if "properties" in found and "additionalProperties" not in found:
        found["additionalProperties"] = False
    return found
