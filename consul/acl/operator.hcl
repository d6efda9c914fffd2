# Who works on the cluster: all but policies and tokens.
agent_prefix "" {
  policy = "write"
}
key_prefix "" {
  policy = "write"
}
keyring = "read"
node_prefix "" {
  policy = "read"
}
operator = "write"
service_prefix "" {
  policy = "write"
}
