module teracompra/consul

go 1.25

require github.com/hashicorp/consul v1.21.0

// Consul's own go.mod excludes them, which does not count here.
exclude (
	github.com/hashicorp/go-msgpack v1.1.5 // has breaking changes and must be avoided
	github.com/hashicorp/go-msgpack v1.1.6 // contains retractions but same as v1.1.5
)

// The checksum database does not know the version that Consul names.
replace github.com/hashicorp/consul-awsauth => github.com/hashicorp/consul-awsauth v0.0.0-20220713182709-05ac1c5c2706
