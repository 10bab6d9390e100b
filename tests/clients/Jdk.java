import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** The JDK's HttpClient as it comes: it offers HTTP/2 to whatever it meets on http://. */
public class Jdk {
    public static void main(String[] arguments) throws IOException, InterruptedException {
        var client = HttpClient.newHttpClient();
        var lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (var line = lines.readLine(); line != null; line = lines.readLine()) {
            var fields = line.split("\t");
            var request = HttpRequest.newBuilder(URI.create(fields[0]))
                .header("Authorization", "Bearer " + System.getenv("TOKEN"))
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", fields[1])
                .POST(body(fields[2], fields[3].getBytes(UTF_8)))
                .build();
            var response = client.send(request, BodyHandlers.ofString());
            System.out.println(response.statusCode() + "\t" + response.body());
        }
    }

    private static BodyPublisher body(String framing, byte[] content) {
        return framing.equals("chunked")
            ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(content))
            : BodyPublishers.ofByteArray(content);
    }
}
