package main

import "runtime"

const most = 10_000 // events in one write

// What waits to be stored: its columns, and whom to tell.
type submission struct {
	event
	receivedAt int64 // microseconds of Unix time
	body       string
	stored     chan error
}

// Stores a group of events, all of them or none, on the disk when it returns.
type commit func(group []*submission) error

// Takes all that wait as one write, again and again, and answers afterwards.
func write(waiting <-chan *submission, commit commit) {
	group := make([]*submission, 0, most)
	for first := range waiting {
		group = append(group[:0], first)
		runtime.Gosched() // let in those who are ready to submit
	gathering:
		for len(group) < most {
			select {
			case next := <-waiting:
				group = append(group, next)
			default:
				break gathering
			}
		}
		err := commit(group)
		for _, one := range group {
			one.stored <- err
		}
	}
}

// How many events of the group were received in each second of Unix time.
func bySecond(group []*submission) map[int64]int {
	seconds := map[int64]int{}
	for _, one := range group {
		seconds[one.receivedAt/1_000_000]++
	}
	return seconds
}
