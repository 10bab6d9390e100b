// Go's default client as it comes.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		status, content, err := post(fields[0], fields[1], fields[2], fields[3])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d\t%s\n", status, content)
	}
}

func post(url, key, framing, content string) (int, []byte, error) {
	var body io.Reader = strings.NewReader(content)
	if framing == "chunked" {
		body = io.MultiReader(body) // whose length nobody knows
	}
	request, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}
