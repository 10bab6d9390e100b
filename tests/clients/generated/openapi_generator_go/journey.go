// The main journey, over the client that openapi-generator generates for Go.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"journey/orders"
)

var (
	ctx      = context.WithValue(context.Background(), orders.ContextAccessToken, os.Getenv("ORDERS_TOKEN"))
	customer = os.Getenv("ORDERS_CUSTOMER")
	client   = orders.NewAPIClient(configuration())
)

func configuration() *orders.Configuration {
	configuration := orders.NewConfiguration()
	configuration.Servers = orders.ServerConfigurations{{URL: os.Getenv("ORDERS_URL")}}
	return configuration
}

func place(price int64, quantity int64, key string) (*orders.OrderResponse, *http.Response, error) {
	line := orders.NewLineBody("MUG-RED", "Red mug", quantity)
	line.SetUnitPrice(price)
	body := orders.NewPlaceOrderBody("EUR", []orders.LineBody{*line})
	body.SetCustomerId(customer)
	body.SetPayment(*orders.NewInitialPaymentBody("tok_ok"))
	return client.OrdersAPI.Place(ctx).IdempotencyKey(key).PlaceOrderBody(*body).Execute()
}

func capture(order *orders.OrderResponse) orders.ApiCaptureRequest {
	return client.CommandsAPI.Capture(ctx, order.Id, "1").IdempotencyKey(rand.Text())
}

func main() {
	key := rand.Text()
	order, _, err := place(3_000_000_000, 2, key)
	check(err)
	fmt.Println("placed", order.Totals.Due, order.PaymentStatus)

	repeated, response, err := place(3_000_000_000, 2, key)
	check(err)
	if repeated.Id == order.Id && response.Header.Get("Idempotency-Replayed") == "true" {
		fmt.Println("repeated: the same order, replayed")
	}

	part := orders.NewAmountBody()
	part.SetAmount(4_500_000_000)
	captured, _, err := capture(order).AmountBody(*part).Execute()
	check(err)
	fmt.Println("captured", captured.Payments[0].Captured)
	_, _, err = capture(order).AmountBody(*part).Execute()
	fmt.Println("refused", problem(err).Status, problem(err).Code)

	_, _, err = place(2_500, 1, rand.Text())
	check(err)
	small, _, err := place(2_500, 1, rand.Text())
	check(err)
	all, _, err := capture(small).Execute()
	check(err)
	fmt.Println("captured", all.Payments[0].Captured, "without an amount")

	found, pages := 0, 0
	for query := client.OrdersAPI.List(ctx).CustomerId(customer).Limit(2); ; pages++ {
		page, _, err := query.Execute()
		check(err)
		found += len(page.Items)
		cursor, more := page.GetNextCursorOk()
		if !more || cursor == nil {
			break
		}
		query = query.Cursor(*cursor)
	}
	fmt.Println("listed", found, "orders on", pages+1, "pages")

	_, response, err = client.OrdersAPI.Read(ctx, order.Id).Execute()
	check(err)
	note := orders.NewEditOrderBody()
	note.SetNote("Leave it with the neighbour")
	edit := client.OrdersAPI.Edit(ctx, order.Id).IfMatch(response.Header.Get("ETag")).EditOrderBody(*note)
	edited, _, err := edit.Execute()
	check(err)
	fmt.Println("edited:", edited.GetNote())
	_, _, err = edit.Execute()
	fmt.Println("refused", problem(err).Status, problem(err).Code)
}

func problem(err error) orders.Problem {
	var refused *orders.GenericOpenAPIError
	if !errors.As(err, &refused) {
		log.Fatal(err)
	}
	return refused.Model().(orders.Problem)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
