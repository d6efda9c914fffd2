# Who has no token may look: at nodes, services, checks, agents' metrics.
node_prefix "" {
  policy = "read"
}
service_prefix "" {
  policy = "read"
}
agent_prefix "" {
  policy = "read"
}
