"""What the API says of the product: its pods, and how many of them are wanted."""

import json
from dataclasses import dataclass

from kubelab import kubectl
from kubelab.layout import NAMESPACE

WEBHOOK, CASSANDRA = "webhook", "cassandra"
HTTP_PORT = 8080
KEYSPACE = "teracompra"
ANSWER_SECONDS = 120.0  # on a busy machine kubectl alone takes some to start


@dataclass(frozen=True)
class Pod:
    """A pod that is not about to end."""

    name: str
    node: str
    address: str
    """Empty until it has one."""
    image: str
    running: bool
    ready: bool
    """Whether it takes traffic."""

    @property
    def url(self) -> str:
        """A receiver's own."""
        return f"http://{self.address}:{HTTP_PORT}"


def pods(app: str, seconds: float = ANSWER_SECONDS) -> list[Pod]:
    """The pods of a part. Raises LabError."""
    said = kubectl.must(
        *("--namespace", NAMESPACE, "get", "pods", f"--selector=app={app}", "--output=json"),
        seconds=seconds,
    )
    found = []
    for item in json.loads(said)["items"]:
        status = item["status"]
        conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
        if "deletionTimestamp" not in item["metadata"]:
            found.append(
                Pod(
                    item["metadata"]["name"],
                    item["spec"].get("nodeName", ""),
                    status.get("podIP", ""),
                    item["spec"]["containers"][0]["image"],
                    status.get("phase") == "Running",
                    conditions.get("Ready") == "True",
                )
            )
    return found


def store() -> str:
    """The ring, by the addresses that its pods have now. Raises LabError."""
    addresses = [pod.address for pod in pods(CASSANDRA) if pod.address]
    return f"cassandra://{','.join(addresses)}/{KEYSPACE}"


def wanted(seconds: float = ANSWER_SECONDS) -> int:
    """How many receivers there are to be. Raises LabError."""
    said = kubectl.must(
        *("--namespace", NAMESPACE, "get", f"deployment/{WEBHOOK}", "--output=json"),
        seconds=seconds,
    )
    return int(json.loads(said)["spec"]["replicas"])


def scale(count: int) -> None:
    """Have so many receivers. Raises LabError."""
    kubectl.must("--namespace", NAMESPACE, "scale", f"deployment/{WEBHOOK}", f"--replicas={count}")
