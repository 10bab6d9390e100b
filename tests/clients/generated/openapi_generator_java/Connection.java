import com.fasterxml.jackson.core.JsonProcessingException;
import shop.orders.ApiClient;
import shop.orders.ApiException;
import shop.orders.model.Problem;

/** What differs between the libraries for which openapi-generator generates: the JDK's and Jackson. */
class Connection {
    static ApiClient open(String url, String token) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        return client;
    }

    static Problem problem(ApiClient client, ApiException refused) throws JsonProcessingException {
        return client.getObjectMapper().readValue(refused.getResponseBody(), Problem.class);
    }
}
