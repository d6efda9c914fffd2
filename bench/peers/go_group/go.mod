module peer

go 1.24

require (
	github.com/apache/cassandra-gocql-driver/v2 v2.1.2
	github.com/mattn/go-sqlite3 v1.14.32
	go.etcd.io/bbolt v1.4.3
)

require (
	golang.org/x/sys v0.29.0 // indirect
	gopkg.in/inf.v0 v0.9.1 // indirect
)
