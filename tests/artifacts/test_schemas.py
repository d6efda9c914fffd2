"""Schemas of Kubernetes' objects: each field of a kind, and no other."""

from artifacts.schemas import SHARED, schemas

DOCUMENT = {
    "definitions": {
        "io.k8s.api.apps.v1.Deployment": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "spec": {"$ref": "#/definitions/io.k8s.api.apps.v1.Spec"},
            },
            "x-kubernetes-group-version-kind": [
                {"group": "apps", "kind": "Deployment", "version": "v1"}
            ],
        },
        "io.k8s.api.apps.v1.Spec": {
            "type": "object",
            "required": ["port"],
            "properties": {
                "port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
            "type": "string",
            "format": "int-or-string",
        },
        "io.k8s.api.core.v1.Pod": {
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "", "kind": "Pod", "version": "v1"}],
        },
    }
}


def test_each_kind_has_a_file_that_names_its_version_and_refers_to_what_is_shared() -> None:
    files = dict(schemas(DOCUMENT))
    assert {*files} == {SHARED, "deployment-apps-v1.json", "pod-v1.json"}
    deployment = files["deployment-apps-v1.json"]
    assert deployment["properties"]["apiVersion"]["enum"] == ["apps/v1"]
    assert deployment["properties"]["kind"]["enum"] == ["Deployment"]
    assert deployment["required"] == ["apiVersion", "kind"]
    reference = f"{SHARED}#/definitions/io.k8s.api.apps.v1.Spec"
    assert deployment["properties"]["spec"] == {"$ref": reference}
    assert files["pod-v1.json"]["properties"]["apiVersion"]["enum"] == ["v1"]


def test_a_field_that_a_kind_does_not_have_is_refused_and_labels_are_not() -> None:
    shared = dict(schemas(DOCUMENT))[SHARED]["definitions"]
    spec = shared["io.k8s.api.apps.v1.Spec"]
    assert spec["additionalProperties"] is False
    assert spec["properties"]["labels"]["additionalProperties"] == {"type": "string"}


def test_a_port_is_a_number_or_a_name() -> None:
    shared = dict(schemas(DOCUMENT))[SHARED]["definitions"]
    port = shared["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert port == {"oneOf": [{"type": "string"}, {"type": "integer"}]}
