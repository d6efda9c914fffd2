"""Between Nomad's autoscaler and Prometheus: the gate, and what it says (docs/rightsizing.md)."""
