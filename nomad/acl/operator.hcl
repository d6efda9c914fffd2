# Who works on the cluster: jobs, their logs, nodes, leadership. No shell in an allocation, no volumes
# of the host's, no policies and no tokens.
namespace "*" {
  capabilities = [
    "list-jobs",
    "parse-job",
    "read-job",
    "submit-job",
    "dispatch-job",
    "scale-job",
    "read-logs",
    "read-fs",
    "alloc-lifecycle",
    "read-job-scaling",
    "list-scaling-policies",
    "read-scaling-policy",
  ]
}
node {
  policy = "write"
}
agent {
  policy = "read"
}
operator {
  policy = "write"
}
# Jobs mount what nomad.hcl names, for reading.
host_volume "*" {
  policy = "read"
}
