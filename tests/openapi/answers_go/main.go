// Validates answers against an OpenAPI document: validate DOCUMENT ANSWERS.
//
// ANSWERS is a JSON array of objects: method, path, status, headers and body of an answer.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

type answer struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func main() {
	document, err := openapi3.NewLoader().LoadFromFile(os.Args[1])
	must(err)
	must(document.Validate(context.Background()))
	router, err := gorillamux.NewRouter(document)
	must(err)
	text, err := os.ReadFile(os.Args[2])
	must(err)
	var answers []answer
	must(json.Unmarshal(text, &answers))
	failed := 0
	for _, each := range answers {
		if err := validate(router, each); err != nil {
			failed++
			fmt.Printf("%s %s %d: %v\n", each.Method, each.Path, each.Status, err)
		}
	}
	fmt.Printf("%d answers, %d refused\n", len(answers), failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func validate(router routers.Router, each answer) error {
	request, err := http.NewRequest(each.Method, each.Path, nil)
	if err != nil {
		return err
	}
	route, parameters, err := router.FindRoute(request)
	if err != nil {
		return err
	}
	headers := http.Header{}
	for name, value := range each.Headers {
		headers.Set(name, value)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request, PathParams: parameters, Route: route,
		},
		Status:  each.Status,
		Header:  headers,
		Body:    io.NopCloser(bytes.NewReader([]byte(each.Body))),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	return openapi3filter.ValidateResponse(context.Background(), input)
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
}
