# The job that sizes the webhook may change how many there are, and nothing else.
namespace "default" {
  policy = "scale"
}
