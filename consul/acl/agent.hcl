# An agent registers its own node, and the services that its configuration names.
node_prefix "node-" {
  policy = "write"
}
service "cassandra" {
  policy = "write"
}
service_prefix "" {
  policy = "read"
}
