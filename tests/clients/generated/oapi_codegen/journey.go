// The main journey, over the client that oapi-codegen generates.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"os"

	"journey/orders"
)

var (
	ctx      = context.Background()
	customer = os.Getenv("ORDERS_CUSTOMER")
	client   = must(orders.NewClientWithResponses(os.Getenv("ORDERS_URL"), orders.WithRequestEditorFn(authorize)))
)

func authorize(_ context.Context, request *http.Request) error {
	request.Header.Set("Authorization", "Bearer "+os.Getenv("ORDERS_TOKEN"))
	return nil
}

func place(price, quantity int64, key string) *orders.PlaceResult {
	return must(client.PlaceWithResponse(ctx, &orders.PlaceParams{IdempotencyKey: &key}, orders.PlaceOrderBody{
		Currency:   "EUR",
		CustomerId: &customer,
		Lines:      []orders.LineBody{{Sku: "MUG-RED", Name: "Red mug", Quantity: quantity, UnitPrice: &price}},
		Payment:    &orders.InitialPaymentBody{Method: "tok_ok"},
	}))
}

func capture(order *orders.OrderResponse, body orders.AmountBody) *orders.CaptureResult {
	key := rand.Text()
	return must(client.CaptureWithResponse(ctx, order.Id, "1", &orders.CaptureParams{IdempotencyKey: &key}, body))
}

func main() {
	key := rand.Text()
	order := place(3_000_000_000, 2, key).JSON201
	fmt.Println("placed", order.Totals.Due, order.PaymentStatus)

	repeated := place(3_000_000_000, 2, key)
	if repeated.JSON201.Id == order.Id && repeated.HTTPResponse.Header.Get("Idempotency-Replayed") == "true" {
		fmt.Println("repeated: the same order, replayed")
	}

	part := int64(4_500_000_000)
	captured := capture(order, orders.AmountBody{Amount: &part}).JSON200
	fmt.Println("captured", (*captured.Payments)[0].Captured)
	tooMuch := capture(order, orders.AmountBody{Amount: &part}).ApplicationproblemJSON409
	fmt.Println("refused", tooMuch.Status, tooMuch.Code)

	place(2_500, 1, rand.Text())
	small := place(2_500, 1, rand.Text()).JSON201
	all := capture(small, orders.AmountBody{}).JSON200
	fmt.Println("captured", (*all.Payments)[0].Captured, "without an amount")

	found, pages, limit := 0, 0, int64(2)
	for query := (orders.ListParams{CustomerId: &customer, Limit: &limit}); ; pages++ {
		page := must(client.ListWithResponse(ctx, &query)).JSON200
		found += len(page.Items)
		if query.Cursor = page.NextCursor; query.Cursor == nil {
			break
		}
	}
	fmt.Println("listed", found, "orders on", pages+1, "pages")

	etag := must(client.ReadWithResponse(ctx, order.Id, nil)).HTTPResponse.Header.Get("ETag")
	note := "Leave it with the neighbour"
	edit := func() *orders.EditResult {
		return must(client.EditWithResponse(ctx, order.Id, &orders.EditParams{IfMatch: &etag}, orders.EditOrderBody{Note: &note}))
	}
	fmt.Println("edited:", *edit().JSON200.Note)
	stale := edit().ApplicationproblemJSON412
	fmt.Println("refused", stale.Status, stale.Code)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
