// The strongest peers: net/http, and a group commit of their own into SQLite, bbolt or Cassandra.
//
// One goroutine for each writer of the store takes all events that wait as one write, and nobody is
// answered before it is on the disk: the same columns and counts as the receiver's, and the same
// promise.
//
//	peer sqlite|bbolt|cassandra     serve
//	peer bbolt count FILE           how many events are in the file
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

type event struct {
	Type   string  `json:"type"`
	CallID *string `json:"call_id"`
}

type server struct {
	waiting chan *submission
}

func (s *server) postEvent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	one := &submission{receivedAt: time.Now().UnixMicro(), stored: make(chan error, 1)}
	if err := json.Unmarshal(body, &one.event); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if one.Type == "" {
		http.Error(w, "type must be a non-empty string", http.StatusUnprocessableEntity)
		return
	}
	one.body = string(body)
	s.waiting <- one
	if err := <-one.stored; err != nil {
		log.Print(err)
		http.Error(w, "not stored", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"accepted":1}`)
}

// The writers of the store at an address, one group at a time each.
var stores = map[string]func(store string) ([]commit, error){
	"sqlite":    openSQLite,
	"bbolt":     openBolt,
	"cassandra": openRing,
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "bbolt" && os.Args[2] == "count" {
		events, err := countBolt(os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(events)
		return
	}
	if len(os.Args) != 2 || stores[os.Args[1]] == nil {
		log.Fatal("usage: peer sqlite|bbolt|cassandra, or peer bbolt count FILE")
	}
	commits, err := stores[os.Args[1]](os.Getenv("WEBHOOK_STORE"))
	if err != nil {
		log.Fatal(err)
	}
	s := &server{make(chan *submission, most)}
	for _, commit := range commits {
		go write(s.waiting, commit)
	}

	listener, err := net.Listen("tcp", os.Getenv("WEBHOOK_ADDRESS"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /events", s.postEvent)
	log.Printf("listening on http://%s", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
