package main

import (
	"database/sql"
	"strings"

	_ "github.com/mattn/go-sqlite3"
)

const (
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

// A file in WAL mode, synced with each transaction, as the receiver's.
func openSQLite(store string) ([]commit, error) {
	path := strings.TrimPrefix(store, "sqlite:///")
	db, err := sql.Open("sqlite3", path+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	insertion, err := db.Prepare(insert)
	if err != nil {
		return nil, err
	}
	counting, err := db.Prepare(count)
	if err != nil {
		return nil, err
	}
	return []commit{func(group []*submission) error {
		transaction, err := db.Begin()
		if err != nil {
			return err
		}
		defer transaction.Rollback()
		insertion, counting := transaction.Stmt(insertion), transaction.Stmt(counting)
		for _, one := range group {
			_, err := insertion.Exec(one.receivedAt, one.Type, one.CallID, one.body)
			if err != nil {
				return err
			}
		}
		for second, events := range bySecond(group) {
			if _, err := counting.Exec(second, events); err != nil {
				return err
			}
		}
		return transaction.Commit()
	}}, nil
}
