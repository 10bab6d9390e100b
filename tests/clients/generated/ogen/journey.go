// The main journey, over the client that ogen generates.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"

	"journey/orders"
)

var (
	ctx      = context.Background()
	customer = os.Getenv("ORDERS_CUSTOMER")
	client   = must(orders.NewClient(os.Getenv("ORDERS_URL"), token(os.Getenv("ORDERS_TOKEN"))))
)

type token string

func (token token) AccessToken(context.Context, orders.OperationName) (orders.AccessToken, error) {
	return orders.AccessToken{Token: string(token)}, nil
}

func place(price, quantity int64, key string) *orders.PlaceCreatedHeaders {
	line := orders.LineBody{Sku: "MUG-RED", Name: "Red mug", Quantity: quantity, UnitPrice: orders.NewOptNilInt64(price)}
	payment := orders.InitialPaymentBody{Method: "tok_ok"}
	answer := must(client.Place(ctx, &orders.PlaceOrderBody{
		Currency:   "EUR",
		CustomerID: orders.NewOptNilString(customer),
		Lines:      []orders.LineBody{line},
		Payment:    orders.NewOptNilInitialPaymentBody(payment),
	}, orders.PlaceParams{IdempotencyKey: orders.NewOptString(key)}))
	return answer.(*orders.PlaceCreatedHeaders)
}

func capture(order orders.OrderResponse, body orders.OptAmountBody) orders.CaptureRes {
	return must(client.Capture(ctx, body, orders.CaptureParams{
		OrderID: order.ID, PartID: "1", IdempotencyKey: orders.NewOptString(rand.Text()),
	}))
}

func main() {
	key := rand.Text()
	order := place(3_000_000_000, 2, key).Response
	fmt.Println("placed", order.Totals.Value.Due, order.PaymentStatus)

	repeated := place(3_000_000_000, 2, key)
	if repeated.Response.ID == order.ID && repeated.IdempotencyReplayed.Value == "true" {
		fmt.Println("repeated: the same order, replayed")
	}

	part := orders.NewOptAmountBody(orders.AmountBody{Amount: orders.NewOptNilInt64(4_500_000_000)})
	captured := capture(order, part).(*orders.OrderResponseHeaders)
	fmt.Println("captured", captured.Response.Payments[0].Captured)
	tooMuch := capture(order, part).(*orders.CaptureConflict)
	fmt.Println("refused", tooMuch.Response.Status, tooMuch.Response.Code)

	place(2_500, 1, rand.Text())
	small := place(2_500, 1, rand.Text()).Response
	all := capture(small, orders.OptAmountBody{}).(*orders.OrderResponseHeaders)
	fmt.Println("captured", all.Response.Payments[0].Captured, "without an amount")

	found, pages := 0, 0
	query := orders.ListParams{CustomerID: orders.NewOptString(customer), Limit: orders.NewOptInt64(2)}
	for more := true; more; pages++ {
		page := must(client.List(ctx, query)).(*orders.OrderPageHeaders).Response
		found += len(page.Items)
		query.Cursor.Value, more = page.NextCursor.Get()
		query.Cursor.Set = more
	}
	fmt.Println("listed", found, "orders on", pages, "pages")

	read := must(client.Read(ctx, orders.ReadParams{OrderID: order.ID})).(*orders.ReadByNumberOKHeaders)
	note := &orders.EditOrderBody{Note: orders.NewOptNilString("Leave it with the neighbour")}
	match := orders.EditParams{OrderID: order.ID, IfMatch: orders.NewOptString(read.ETag)}
	edited := must(client.Edit(ctx, note, match)).(*orders.OrderResponseHeaders)
	fmt.Println("edited:", edited.Response.Note.Value)
	stale := must(client.Edit(ctx, note, match)).(*orders.EditPreconditionFailed)
	fmt.Println("refused", stale.Status, stale.Code)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
