"""A Kubernetes cluster on this machine, its nodes made of namespaces, that runs the product."""
