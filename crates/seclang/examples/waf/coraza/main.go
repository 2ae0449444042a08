// What a request costs in Coraza, and which rules match. The rule file is the argument; each line
// that comes is a request in JSON, each line that goes is the answer.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/corazawaf/coraza/v3"
)

type message struct {
	Method, Target, Protocol string
	Status                   int
	Headers                  [][2]string
	Body                     []byte
	Response                 *message
	Times                    int
}

func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func once(waf coraza.WAF, request *message) []int {
	tx := waf.NewTransaction()
	defer tx.Close()
	tx.ProcessConnection("127.0.0.1", 40000, "127.0.0.1", 80)
	tx.ProcessURI(request.Target, request.Method, request.Protocol)
	for _, header := range request.Headers {
		tx.AddRequestHeader(header[0], header[1])
	}
	tx.ProcessRequestHeaders()
	if _, _, err := tx.WriteRequestBody(request.Body); err != nil {
		panic(err)
	}
	if _, err := tx.ProcessRequestBody(); err != nil {
		panic(err)
	}
	if response := request.Response; response != nil {
		for _, header := range response.Headers {
			tx.AddResponseHeader(header[0], header[1])
		}
		tx.ProcessResponseHeaders(response.Status, "HTTP/1.1")
		if _, _, err := tx.WriteResponseBody(response.Body); err != nil {
			panic(err)
		}
		if _, err := tx.ProcessResponseBody(); err != nil {
			panic(err)
		}
	}
	tx.ProcessLogging()
	ids := []int{}
	for _, rule := range tx.MatchedRules() {
		ids = append(ids, rule.Rule().ID())
	}
	return ids
}

func main() {
	runtime.GOMAXPROCS(1)
	config := coraza.NewWAFConfig()
	for _, file := range os.Args[1:] {
		config = config.WithDirectivesFromFile(file)
	}
	start := time.Now()
	waf, err := coraza.NewWAF(config)
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"load_ms\": %d}\n", time.Since(start).Milliseconds())
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var request message
		if err := json.Unmarshal(line, &request); err != nil {
			panic(err)
		}
		var ids []int
		begin := cpu()
		for range request.Times {
			ids = once(waf, &request)
		}
		spent := (cpu() - begin) / 1000
		answer, _ := json.Marshal(map[string]any{"cpu_us": spent, "ids": ids})
		fmt.Println(string(answer))
	}
}
