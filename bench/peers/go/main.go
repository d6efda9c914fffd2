// The peer: net/http and gocql, an INSERT per event, prepared, by quorum.
//
// Written as the guides of both have it. The defaults of Go and of the driver: GOMAXPROCS as many as
// there are cores, two connections to each node, TCP_NODELAY set.
package main

import (
	"encoding/json"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

const insert = `INSERT INTO events (minute, bucket, id, received_at, type, call_id, body)
	VALUES (?, ?, ?, ?, ?, ?, ?)`

const buckets = 16

type event struct {
	Type   string  `json:"type"`
	CallID *string `json:"call_id"`
}

type server struct {
	session *gocql.Session
}

func (s *server) postEvent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if e.Type == "" {
		http.Error(w, "type must be a non-empty string", http.StatusUnprocessableEntity)
		return
	}
	now := time.Now()
	query := s.session.Query(insert, int(now.Unix()/60), rand.IntN(buckets), gocql.TimeUUID(),
		now, e.Type, e.CallID, string(body))
	if err := query.ExecContext(r.Context()); err != nil {
		log.Print(err)
		http.Error(w, "not stored", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]int{"accepted": 1})
}

func main() {
	store, err := url.Parse(os.Getenv("WEBHOOK_STORE"))
	if err != nil {
		log.Fatal(err)
	}
	cluster := gocql.NewCluster(strings.Split(store.Host, ",")...)
	cluster.Keyspace = strings.TrimPrefix(store.Path, "/")
	cluster.Consistency = gocql.Quorum
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(
		gocql.RoundRobinHostPolicy())
	session, err := cluster.CreateSession()
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	listener, err := net.Listen("tcp", os.Getenv("WEBHOOK_ADDRESS"))
	if err != nil {
		log.Fatal(err)
	}
	s := &server{session}
	http.HandleFunc("POST /events", s.postEvent)
	log.Printf("listening on http://%s", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
