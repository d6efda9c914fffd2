package main

import (
	"net/url"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

const (
	lanes = 2 // writers, as a receiver has

	insertGroup = `INSERT INTO events (minute, lane, seq, counts, total, events)
		VALUES (?, ?, ?, ?, ?, ?)`
	insertLane = `INSERT INTO lanes (minute, lane, sealed, counts) VALUES (?, ?, ?, ?)`
)

type row struct {
	ReceivedAt int64   `cql:"received_at"`
	Type       string  `cql:"type"`
	CallID     *string `cql:"call_id"`
	Body       string  `cql:"body"`
}

// A writer to the ring: one write in flight, each a row with its events and the counts so far of
// its minute, as in cassandra/schema.cql.
type lane struct {
	session *gocql.Session
	id      gocql.UUID
	minute  int
	seq     int
	total   int
	counts  map[int]int
}

func openRing(store string) ([]commit, error) {
	address, err := url.Parse(store)
	if err != nil {
		return nil, err
	}
	cluster := gocql.NewCluster(strings.Split(address.Host, ",")...)
	cluster.Keyspace = strings.TrimPrefix(address.Path, "/")
	cluster.Consistency = gocql.Quorum
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(
		gocql.RoundRobinHostPolicy())
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, err
	}
	commits := make([]commit, lanes)
	for number := range commits {
		id, err := gocql.RandomUUID()
		if err != nil {
			return nil, err
		}
		commits[number] = (&lane{session: session, id: id}).commit
	}
	return commits, nil
}

func (l *lane) commit(group []*submission) error {
	minute := int(group[len(group)-1].receivedAt / 60_000_000)
	if minute != l.minute {
		if err := l.turn(minute); err != nil {
			return err
		}
	}
	rows := make([]row, len(group))
	counts := map[int]int{}
	for second, events := range l.counts {
		counts[second] = events
	}
	for number, one := range group {
		rows[number] = row{one.receivedAt, one.Type, one.CallID, one.body}
		counts[int(one.receivedAt/1_000_000%60)]++
	}
	total := l.total + len(group)
	err := l.session.Query(insertGroup, minute, l.id, l.seq, counts, total, rows).Exec()
	if err != nil {
		return err
	}
	l.seq, l.total, l.counts = l.seq+1, total, counts
	return nil
}

// Seals the minute that was, and announces the one that begins.
func (l *lane) turn(minute int) error {
	if l.seq > 0 {
		err := l.session.Query(insertLane, l.minute, l.id, true, l.counts).Exec()
		if err != nil {
			return err
		}
	}
	err := l.session.Query(insertLane, minute, l.id, false, map[int]int{}).Exec()
	if err != nil {
		return err
	}
	l.minute, l.seq, l.total, l.counts = minute, 0, 0, map[int]int{}
	return nil
}
