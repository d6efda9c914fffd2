# Who has no token may look: at jobs and allocations, nodes and agents. Not into their files or logs.
namespace "*" {
  capabilities = [
    "list-jobs",
    "parse-job",
    "read-job",
    "read-job-scaling",
    "list-scaling-policies",
    "read-scaling-policy",
  ]
}
node {
  policy = "read"
}
agent {
  policy = "read"
}
