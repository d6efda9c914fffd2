"""The rules of a closed cluster, put into effect: consul/acl/ and nomad/acl/.

Each step finds out what is there already, so that it can be cut off anywhere and done again.
"""

import json
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

import consul
import nomad
import requests
from consul.callback import CB

from cluster.access.secrets import GIVEN, Secrets, new_token, write_private
from cluster.health import ask, ask_nomad, consul_at, nomad_at
from cluster.layout import AUTOSCALER, NODES, ClusterError, Node
from tools.root import ROOT

ANONYMOUS = "anonymous"
CONSULS_ANONYMOUS = "00000000-0000-0000-0000-000000000002"
"""https://developer.hashicorp.com/consul/docs/secure/acl/token"""
CONSULS_MANAGEMENT = "00000000-0000-0000-0000-000000000001"
"""Its policy: https://developer.hashicorp.com/consul/docs/secure/acl/policy"""
AGENT, NOMAD, OPERATOR, MANAGER = "agent", "nomad", "operator", "manager"
FIRST_MANAGERS = ("Initial Management Token", "Bootstrap Token")
"""What Consul and Nomad call the managers that they began with."""
KNOWN_SECONDS = 10.0
ALREADY = "bootstrap already done"


def grant(secrets: Secrets | None) -> Callable[[], None]:
    """What is to be called until both have leaders: then the rules are in effect.

    Nothing is to be done for an open cluster. Raises ClusterError.
    """
    steps: list[Callable[[], bool]] = []
    if secrets is not None:
        steps = [partial(grant_consul, secrets), partial(grant_nomad, secrets)]

    def try_now() -> None:
        while steps and steps[0]():
            del steps[0]

    return try_now


def grant_consul(secrets: Secrets) -> bool:
    """Whether Consul has all rules and tokens now; not while it has no leader."""
    tokens = {
        AGENT: secrets.consul_agent,
        NOMAD: secrets.consul_nomad,
        OPERATOR: secrets.consul_operator,
    }

    def at(node: Any) -> bool:
        with consul_at(node) as client:
            _consul_token(client, secrets, ANONYMOUS, {}, f"token/{CONSULS_ANONYMOUS}")
            for name, secret in tokens.items():
                if not _known(client, secret):
                    _consul_token(client, secrets, name, {"SecretID": secret}, "token")
                else:
                    _consul_policy(client, secrets, name)
        return True

    return bool(ask(at))


def _consul_token(
    client: Any, secrets: Secrets, name: str, more: dict[str, str], path: str
) -> None:
    """A token that has the policy of that name."""
    policy = _consul_policy(client, secrets, name)
    token = {"Description": name, "Policies": [{"ID": policy}], **more}
    _put(client, secrets, path, token)


def _consul_policy(client: Any, secrets: Secrets, name: str) -> str:
    """Make the policy what consul/acl/ says; its id."""
    headers = client.prepare_headers(secrets.consul_manager)
    found = client.http.get(CB.json(allow_404=True), f"/v1/acl/policy/name/{name}", headers=headers)
    policy = {"Name": name, "Rules": (ROOT / "consul" / "acl" / f"{name}.hcl").read_text()}
    path = f"policy/{found['ID']}" if found else "policy"
    return str(_put(client, secrets, path, policy)["ID"])


def _known(client: Any, secret: str) -> bool:
    headers = client.prepare_headers(secret)
    try:
        client.http.get(CB.json(), "/v1/acl/token/self", headers=headers)
    except consul.ACLPermissionDenied:
        return False
    return True


def other_tokens(before: Secrets) -> Secrets:
    """Make tokens for everybody; those of `before` hold as well.

    Raises ClusterError.
    """

    def consuls(node: Any) -> bool:
        with consul_at(node) as client:
            everything = [{"ID": CONSULS_MANAGEMENT}]
            token = {"Description": MANAGER, "Policies": everything, "SecretID": manager}
            _put(client, before, "token", token)
        return True

    def nomads(client: Any) -> str:
        made = client.acl.create_token({"Name": MANAGER, "Type": "management", "Global": False})
        return str(made["SecretID"])

    manager = new_token()
    if not ask(consuls) or (nomads_manager := ask_nomad(nomads)) is None:
        raise ClusterError("no agent that answers makes tokens; scripts/cluster status")
    new = replace(
        before,
        consul_manager=manager,
        consul_agent=new_token(),
        consul_nomad=new_token(),
        consul_operator=new_token(),
        nomad_manager=nomads_manager,
    )
    if not grant_consul(new):
        raise ClusterError("Consul has no leader; do it again")
    return new


def end_other_tokens(secrets: Secrets) -> None:
    """End the cluster's own tokens that are not among `secrets`. Raises ClusterError.

    The operator's of Nomad goes, too: `operator_token` makes the next one.
    """

    def consuls(node: Any) -> bool:
        with consul_at(node) as client:
            headers = client.prepare_headers(secrets.consul_manager)
            for one in _consuls_others(client, secrets):
                path = f"/v1/acl/token/{one['AccessorID']}"
                client.http.delete(CB.boolean(), path, headers=headers)
        return True

    def nomads(client: Any) -> bool:
        for token in _nomads_others(client, {OPERATOR, MANAGER, *FIRST_MANAGERS}):
            client.acl.delete_token(token["AccessorID"])
        return True

    (GIVEN.parent / OPERATOR).unlink(missing_ok=True)
    if not ask(consuls) or not ask_nomad(nomads):
        raise ClusterError("no agent that answers ends the old tokens; do it again")


def tokens_left(secrets: Secrets) -> list[str]:
    """The cluster's own tokens that are not among `secrets`, in words; none if nobody answers.

    A rotation that was cut off leaves them.
    """

    def consuls(node: Any) -> list[str]:
        with consul_at(node) as client:
            found = _consuls_others(client, secrets)
        return [f"Consul has another token for {one['Description']}" for one in found]

    def nomads(client: Any) -> list[str]:
        found = _nomads_others(client, {MANAGER, *FIRST_MANAGERS})
        return [f"Nomad has another token for {one['Name']}" for one in found]

    return [*(ask(consuls) or []), *(ask_nomad(nomads) or [])]


def _consuls_others(client: Any, secrets: Secrets) -> list[Any]:
    """Consul's tokens by the cluster's own names that are not among `secrets`."""
    names = {AGENT, NOMAD, OPERATOR, MANAGER, *FIRST_MANAGERS}
    ours = {
        secrets.consul_manager,
        secrets.consul_agent,
        secrets.consul_nomad,
        secrets.consul_operator,
    }
    headers = client.prepare_headers(secrets.consul_manager)
    found = client.http.get(CB.json(), "/v1/acl/tokens", headers=headers)
    return [one for one in found if one["Description"] in names and one["SecretID"] not in ours]


def _nomads_others(client: Any, names: Collection[str]) -> list[Any]:
    """Nomad's tokens of these names but the client's own."""
    ours = client.acl.get_self_token()["AccessorID"]
    found = client.acl.get_tokens()
    return [one for one in found if one["Name"] in names and one["AccessorID"] != ours]


def _put(client: Any, secrets: Secrets, path: str, document: object) -> Any:
    headers = client.prepare_headers(secrets.consul_manager)
    return client.http.put(CB.json(), f"/v1/acl/{path}", headers=headers, data=json.dumps(document))


def grant_nomad(secrets: Secrets) -> bool:
    """Whether Nomad has its manager and all rules now; not while it has no leader.

    Raises ClusterError if somebody else is its manager.
    """

    def at(client: Any) -> bool:
        _bootstrap(client, secrets)
        for name in (ANONYMOUS, OPERATOR, AUTOSCALER):
            rules = (ROOT / "nomad" / "acl" / f"{name}.hcl").read_text()
            policy: dict[str, Any] = {"Name": name, "Rules": rules}
            if name == AUTOSCALER:  # its own tasks have it, without a token that anybody keeps
                policy["JobACL"] = {"Namespace": "default", "JobID": name}
            client.acl.request("policy", name, json=policy, method="post")
        return True

    return bool(ask_nomad(at))


def _bootstrap(client: Any, secrets: Secrets) -> None:
    """Have Nomad know its manager: whoever does it first, does it for all."""
    request = {"BootstrapSecret": secrets.nomad_manager}
    try:
        client.acl.request("bootstrap", json=request, method="post")
    except nomad.api.exceptions.BaseNomadException as error:
        answer = error.nomad_resp
        if getattr(answer, "status_code", 0) != HTTPStatus.BAD_REQUEST or ALREADY not in (
            answer.text
        ):
            raise
    try:
        client.acl.get_self_token()
    except nomad.api.exceptions.URLNotAuthorizedNomadException as error:
        raise ClusterError(
            "Nomad has another manager than this cluster's secrets say: somebody was there first, "
            "or the secrets are of another cluster. scripts/cluster down begins anew"
        ) from error


def operator_token() -> str:
    """Nomad's token for who works on the cluster, made when it is first asked for.

    Raises ClusterError.
    """
    kept = GIVEN.parent / OPERATOR
    if kept.exists():
        return kept.read_text()
    wish = {"Name": OPERATOR, "Type": "client", "Policies": [OPERATOR], "Global": False}

    def at(client: Any) -> str:
        return str(client.acl.create_token(wish)["SecretID"])

    if (made := ask_nomad(at)) is None:
        raise ClusterError("no Nomad that answers makes a token; scripts/cluster status")
    _await_known(made)
    write_private(kept, made)
    return made


def _await_known(token: str) -> None:
    """Return when each Nomad that answers knows the token by itself, or after a moment.

    A node asks whichever server is near, so one that follows might still refuse the first command.
    """

    def is_known(node: Node) -> bool:
        try:
            with nomad_at(node, lambda: _only(token)) as client:
                client.acl.request("token", "self", params={"stale": ""}, method="get")
        except nomad.api.exceptions.URLNotAuthorizedNomadException:
            return False
        except (requests.RequestException, nomad.api.exceptions.BaseNomadException):
            return True  # it does not answer: it hears of it when it is back
        return True

    deadline = time.monotonic() + KNOWN_SECONDS
    while not all(map(is_known, NODES)) and time.monotonic() < deadline:
        time.sleep(0.1)


def _only(token: str) -> Secrets | None:
    """The cluster's secrets as they are for who has this token of Nomad's."""
    found = Secrets.read()
    return found and replace(found, nomad_manager=token)


def tokens() -> dict[str, str]:
    """The variables by which `nomad` and `consul` may change the cluster; none if it is open.

    Raises ClusterError.
    """
    secrets = Secrets.read()
    if secrets is None:
        return {}
    return {"NOMAD_TOKEN": operator_token(), "CONSUL_HTTP_TOKEN": secrets.consul_operator}


def exported_tokens() -> list[str]:
    """Lines for a shell that sets these. Raises ClusterError."""
    return [f"export {name}={value}" for name, value in tokens().items()]
