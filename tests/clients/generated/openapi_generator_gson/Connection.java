import shop.orders.ApiClient;
import shop.orders.ApiException;
import shop.orders.JSON;
import shop.orders.model.Problem;

/** What differs between the libraries for which openapi-generator generates: OkHttp and Gson. */
class Connection {
    static ApiClient open(String url, String token) {
        ApiClient client = new ApiClient();
        client.setBasePath(url);
        client.setBearerToken(token);
        return client;
    }

    static Problem problem(ApiClient client, ApiException refused) {
        return JSON.deserialize(refused.getResponseBody(), Problem.class);
    }
}
