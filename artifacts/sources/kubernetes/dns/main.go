// CoreDNS with the few plugins that a cluster needs.
package main

import (
	"fmt"
	"os"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(coremain.CoreVersion)
		return
	}
	dnsserver.Directives = []string{"errors", "log", "health", "ready", "prometheus", "cache", "kubernetes", "forward"}
	coremain.Run()
}
