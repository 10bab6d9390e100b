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

func place(price int64, quantity int, key string) orders.PlaceRes {
	return must(client.Place(ctx, &orders.PlaceOrderBody{
		Currency:   orders.PlaceOrderBodyCurrencyEUR,
		CustomerID: orders.NewOptNilString(customer),
		Lines: []orders.LineBody{
			{Sku: "MUG-RED", Name: "Red mug", Quantity: quantity, UnitPrice: orders.NewOptNilInt64(price)},
		},
		Payment: orders.NewOptNilInitialPaymentBody(orders.InitialPaymentBody{Method: "tok_ok"}),
	}, orders.PlaceParams{IdempotencyKey: orders.NewOptString(key)}))
}

func capture(order *orders.OrderResponse, body orders.OptAmountBody) orders.CaptureRes {
	return must(client.Capture(ctx, body, orders.CaptureParams{
		OrderID: order.ID, PartID: "1", IdempotencyKey: orders.NewOptString(rand.Text()),
	}))
}

func main() {
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
