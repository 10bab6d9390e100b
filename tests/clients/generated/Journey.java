import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import shop.orders.ApiClient;
import shop.orders.ApiException;
import shop.orders.ApiResponse;
import shop.orders.api.CommandsApi;
import shop.orders.api.OrdersApi;
import shop.orders.model.AmountBody;
import shop.orders.model.EditOrderBody;
import shop.orders.model.InitialPaymentBody;
import shop.orders.model.LineBody;
import shop.orders.model.OrderPage;
import shop.orders.model.OrderResponse;
import shop.orders.model.PlaceOrderBody;
import shop.orders.model.Problem;

/** The main journey, over the client that openapi-generator generates for Java. */
class Journey {
    private final String customer = System.getenv("ORDERS_CUSTOMER");
    private final ApiClient client =
            Connection.open(System.getenv("ORDERS_URL"), System.getenv("ORDERS_TOKEN"));
    private final OrdersApi orders = new OrdersApi(client);
    private final CommandsApi commands = new CommandsApi(client);

    private ApiResponse<OrderResponse> place(long price, long quantity, String key) throws ApiException {
        LineBody line = new LineBody().sku("MUG-RED").name("Red mug").quantity(quantity).unitPrice(price);
        PlaceOrderBody body = new PlaceOrderBody()
                .currency(PlaceOrderBody.CurrencyEnum.EUR)
                .customerId(customer)
                .addLinesItem(line)
                .payment(new InitialPaymentBody().method("tok_ok"));
        return orders.placeWithHttpInfo(body, key, null);
    }

    private OrderResponse capture(OrderResponse order, AmountBody body) throws ApiException {
        return commands.capture(order.getId(), "1", newKey(), null, null, body);
    }

    private interface Call {
        void run() throws ApiException;
    }

    private Problem refused(Call call) throws Exception {
        try {
            call.run();
        } catch (ApiException refused) {
            return Connection.problem(client, refused);
        }
        throw new AssertionError("not refused");
    }

    private static String newKey() {
        return UUID.randomUUID().toString();
    }

    private void run() throws Exception {
        String key = newKey();
        OrderResponse order = place(3_000_000_000L, 2, key).getData();
        print("placed", order.getTotals().getDue(), order.getPaymentStatus());

        ApiResponse<OrderResponse> repeated = place(3_000_000_000L, 2, key);
        if (repeated.getData().getId().equals(order.getId())
                && repeated.getHeaders().get("idempotency-replayed").equals(List.of("true"))) {
            print("repeated: the same order, replayed");
        }

        AmountBody part = new AmountBody().amount(4_500_000_000L);
        print("captured", capture(order, part).getPayments().get(0).getCaptured());
        Problem tooMuch = refused(() -> capture(order, part));
        print("refused", tooMuch.getStatus(), tooMuch.getCode());

        place(2_500, 1, newKey());
        OrderResponse small = place(2_500, 1, newKey()).getData();
        print("captured", capture(small, new AmountBody()).getPayments().get(0).getCaptured(), "without an amount");

        List<OrderResponse> found = new ArrayList<>();
        int pages = 0;
        String cursor = null;
        do {
            OrderPage page = orders.callList(
                    null, null, null, null, customer, null, null, null, null, null, null, null, 2L, cursor);
            found.addAll(page.getItems());
            pages += 1;
            cursor = page.getNextCursor();
        } while (cursor != null);
        print("listed", found.size(), "orders on", pages, "pages");

        String etag = orders.readWithHttpInfo(order.getId(), null).getHeaders().get("etag").get(0);
        EditOrderBody note = new EditOrderBody().note("Leave it with the neighbour");
        print("edited:", orders.edit(order.getId(), note, null, etag, null).getNote());
        Problem stale = refused(() -> orders.edit(order.getId(), note, null, etag, null));
        print("refused", stale.getStatus(), stale.getCode());
    }

    private static void print(Object... words) {
        List<String> line = new ArrayList<>();
        for (Object each : words) line.add(String.valueOf(each));
        System.out.println(String.join(" ", line));
    }

    public static void main(String[] arguments) throws Exception {
        new Journey().run();
    }
}
