package main

import (
	"encoding/binary"
	"strings"

	"go.etcd.io/bbolt"
)

var eventsBucket, countsBucket = []byte("events"), []byte("counts")

// A B+ tree in one file. Its own Batch waits for others to come; a group of those that are there
// already needs no wait.
func openBolt(store string) ([]commit, error) {
	db, err := bbolt.Open(strings.TrimPrefix(store, "sqlite:///"), 0o600, &bbolt.Options{
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,    // it is found anew at a start
		InitialMmapSize: 1 << 30, // so that it need not stop to map more
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(transaction *bbolt.Tx) error {
		for _, name := range [][]byte{eventsBucket, countsBucket} {
			if _, err := transaction.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []commit{func(group []*submission) error {
		return db.Update(func(transaction *bbolt.Tx) error { return put(transaction, group) })
	}}, nil
}

func put(transaction *bbolt.Tx, group []*submission) error {
	events := transaction.Bucket(eventsBucket)
	events.FillPercent = 1 // keys only grow
	for _, one := range group {
		id, err := events.NextSequence()
		if err != nil {
			return err
		}
		if err := events.Put(number(id), encode(one)); err != nil {
			return err
		}
	}
	counts := transaction.Bucket(countsBucket)
	for second, more := range bySecond(group) {
		key := number(uint64(second))
		sum := uint64(more)
		if before := counts.Get(key); before != nil {
			sum += binary.BigEndian.Uint64(before)
		}
		if err := counts.Put(key, number(sum)); err != nil {
			return err
		}
	}
	return nil
}

// Its columns one after the other: the time, then each text with its length before it.
func encode(one *submission) []byte {
	callID := ""
	if one.CallID != nil {
		callID = *one.CallID
	}
	row := make([]byte, 0, 8+3*binary.MaxVarintLen64+len(one.Type)+len(callID)+len(one.body))
	row = binary.BigEndian.AppendUint64(row, uint64(one.receivedAt))
	for _, text := range []string{one.Type, callID, one.body} {
		row = binary.AppendUvarint(row, uint64(len(text)))
		row = append(row, text...)
	}
	return row
}

func number(value uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, value)
}

func countBolt(path string) (int, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	events := 0
	err = db.View(func(transaction *bbolt.Tx) error {
		events = transaction.Bucket(eventsBucket).Stats().KeyN
		return nil
	})
	return events, err
}
