// The strongest peer: net/http, and a group commit of its own into SQLite.
//
// One goroutine writes: it takes all events that wait as one transaction, synced before anybody is
// answered. The same columns and counts per second as the receiver's file, and the same promise.
package main

import (
	"database/sql"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

const (
	most   = 10_000 // events in one transaction
	schema = `
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    call_id TEXT,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counts (second INTEGER PRIMARY KEY, events INTEGER NOT NULL);`
	insert = `INSERT INTO events (received_at, type, call_id, body) VALUES (?, ?, ?, ?)`
	count  = `INSERT INTO counts VALUES (?, ?)
ON CONFLICT (second) DO UPDATE SET events = events + excluded.events`
)

type event struct {
	Type   string  `json:"type"`
	CallID *string `json:"call_id"`
}

type submission struct {
	event
	receivedAt int64
	body       string
	stored     chan error
}

type server struct {
	db      *sql.DB
	waiting chan *submission
}

func (s *server) write() {
	insertion, err := s.db.Prepare(insert)
	if err != nil {
		log.Fatal(err)
	}
	counting, err := s.db.Prepare(count)
	if err != nil {
		log.Fatal(err)
	}
	group := make([]*submission, 0, most)
	for first := range s.waiting {
		group = append(group[:0], first)
		runtime.Gosched() // let in those who are ready to submit
	gathering:
		for len(group) < most {
			select {
			case next := <-s.waiting:
				group = append(group, next)
			default:
				break gathering
			}
		}
		err := s.commit(group, insertion, counting)
		for _, one := range group {
			one.stored <- err
		}
	}
}

func (s *server) commit(group []*submission, insertion, counting *sql.Stmt) error {
	transaction, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer transaction.Rollback()
	insertion, counting = transaction.Stmt(insertion), transaction.Stmt(counting)
	seconds := map[int64]int{}
	for _, one := range group {
		if _, err := insertion.Exec(one.receivedAt, one.Type, one.CallID, one.body); err != nil {
			return err
		}
		seconds[one.receivedAt/1_000_000]++
	}
	for second, events := range seconds {
		if _, err := counting.Exec(second, events); err != nil {
			return err
		}
	}
	return transaction.Commit()
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

func main() {
	path := strings.TrimPrefix(os.Getenv("WEBHOOK_STORE"), "sqlite:///")
	db, err := sql.Open("sqlite3", path+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		log.Fatal(err)
	}
	s := &server{db, make(chan *submission, most)}
	go s.write()

	listener, err := net.Listen("tcp", os.Getenv("WEBHOOK_ADDRESS"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /events", s.postEvent)
	log.Printf("listening on http://%s", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
