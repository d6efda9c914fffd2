module teracompra/nomad

go 1.25.3

require (
	github.com/hashicorp/nomad v1.11.0
	github.com/hashicorp/nomad/api v0.0.0-20251112085157-4f01f1455f20 // its own is ./api
)

// Nomad's own go.mod has the same, which does not count here.
replace (
	github.com/Microsoft/go-winio => github.com/endocrimes/go-winio v0.4.13-0.20190628114223-fb47a8b41948
	github.com/hashicorp/hcl => github.com/hashicorp/hcl v1.0.1-nomad-1
)
