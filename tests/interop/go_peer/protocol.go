// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// A Command takes a request line and returns what the answer's "ok" holds.
type Command func(request json.RawMessage) (any, error)

const maxLine = 16 << 20

type answer struct {
	ID    int64  `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error string `json:"error,omitempty"`
}

// Serve answers one command a line, each in a goroutine of its own, until the input ends.
func Serve(input io.Reader, output io.Writer, commands map[string]Command) {
	var writing sync.Mutex
	encoder := json.NewEncoder(output)
	reply := func(a answer) {
		writing.Lock()
		defer writing.Unlock()
		_ = encoder.Encode(a) // The reader is gone: then the input ends too.
	}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var request struct {
			ID int64  `json:"id"`
			Do string `json:"do"`
		}
		line := append(json.RawMessage(nil), lines.Bytes()...)
		if err := json.Unmarshal(line, &request); err != nil {
			reply(answer{Error: fmt.Sprint("not a command: ", err)})
			continue
		}
		go func() { reply(run(request.ID, commands[request.Do], line)) }()
	}
}

func run(id int64, command Command, line json.RawMessage) (result answer) {
	defer func() {
		if panicked := recover(); panicked != nil {
			result = answer{ID: id, Error: fmt.Sprint("panic: ", panicked)}
		}
	}()
	if command == nil {
		return answer{ID: id, Error: "no such command"}
	}
	ok, err := command(line)
	if err != nil {
		return answer{ID: id, Error: err.Error()}
	}
	if ok == nil {
		ok = struct{}{}
	}
	return answer{ID: id, OK: ok}
}

// With makes a Command of a function that takes the request's fields as a struct.
func With[Request any](function func(Request) (any, error)) Command {
	return func(line json.RawMessage) (any, error) {
		var request Request
		if err := json.Unmarshal(line, &request); err != nil {
			return nil, fmt.Errorf("bad fields: %w", err)
		}
		return function(request)
	}
}
