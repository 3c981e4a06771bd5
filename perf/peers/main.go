// What somebody would write by hand instead: a Go service that takes GitHub's webhooks.
//   MODE=verify   checks the signature, answers 202
//   MODE=wal      and drops duplicates (in memory, for ever), appends to a file and answers after fdatasync, many at once
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
)

var secret = []byte("bench-secret")

// Waiters of one group share one write and one sync.
type journal struct {
	file  *os.File
	mutex sync.Mutex
	group *group
	wake  chan struct{}
}

type group struct {
	bytes []byte
	done  chan struct{}
	err   error
}

func newGroup() *group { return &group{done: make(chan struct{})} }

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, group: newGroup(), wake: make(chan struct{}, 1)}
	go j.run()
	return j, nil
}

func (j *journal) run() {
	for range j.wake {
		j.mutex.Lock()
		full := j.group
		j.group = newGroup()
		j.mutex.Unlock()
		if _, full.err = j.file.Write(full.bytes); full.err == nil {
			full.err = syscall.Fdatasync(int(j.file.Fd()))
		}
		close(full.done)
	}
}

func (j *journal) append(id string, body []byte) error {
	var lengths [8]byte
	binary.LittleEndian.PutUint32(lengths[:4], uint32(len(id)))
	binary.LittleEndian.PutUint32(lengths[4:], uint32(len(body)))
	j.mutex.Lock()
	mine := j.group
	mine.bytes = append(append(append(mine.bytes, lengths[:]...), id...), body...)
	j.mutex.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
	<-mine.done
	return mine.err
}

func verified(header string, body []byte) bool {
	claim, err := hex.DecodeString(strings.TrimPrefix(header, "sha256="))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hmac.Equal(mac.Sum(nil), claim)
}

func main() {
	var seen sync.Map
	var kept *journal
	if os.Getenv("MODE") == "wal" {
		var err error
		if kept, err = openJournal(os.Getenv("LOG")); err != nil {
			log.Fatal(err)
		}
	}
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			answer.WriteHeader(http.StatusBadRequest)
			return
		}
		if !verified(request.Header.Get("X-Hub-Signature-256"), body) {
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		if kept != nil {
			id := request.Header.Get("X-GitHub-Delivery")
			if _, known := seen.LoadOrStore(id, struct{}{}); known {
				answer.WriteHeader(http.StatusOK)
				return
			}
			if err := kept.append(id, body); err != nil {
				seen.Delete(id)
				answer.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		answer.WriteHeader(http.StatusAccepted)
	})
	log.Fatal(http.ListenAndServe(os.Getenv("ADDRESS"), nil))
}
