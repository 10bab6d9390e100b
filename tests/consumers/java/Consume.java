import com.fasterxml.jackson.databind.ObjectMapper;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DeliverCallback;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.provider.EventFormatProvider;
import io.cloudevents.jackson.JsonFormat;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads events from a broker with CloudEvents' SDK, and prints each as a line of JSON.
 * Usage: Consume kafka|rabbitmq ADDRESS PLACE COUNT; the place is a topic or a queue.
 */
public final class Consume {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] given) throws Exception {
        int count = Integer.parseInt(given[3]);
        if (given[0].equals("kafka")) kafka(given[1], given[2], count);
        else rabbitmq(given[1], given[2], count);
    }

    private static void kafka(String address, String topic, int count) throws Exception {
        var settings = Map.<String, Object>of(
            "bootstrap.servers", address, "group.id", "java", "auto.offset.reset", "earliest");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(topic));
            while (count > 0) {
                for (var each : consumer.poll(Duration.ofSeconds(1))) {
                    show(each.value());
                    count--;
                }
            }
        }
    }

    private static void rabbitmq(String address, String queue, int count) throws Exception {
        var factory = new ConnectionFactory();
        factory.setUri(address);
        var bodies = new LinkedBlockingQueue<byte[]>();
        try (var connection = factory.newConnection(); var channel = connection.createChannel()) {
            DeliverCallback take = (tag, delivery) -> bodies.add(delivery.getBody());
            channel.basicConsume(queue, true, take, tag -> {});
            for (; count > 0; count--) show(bodies.take());
        }
    }

    private static void show(byte[] message) throws Exception {
        var format = EventFormatProvider.getInstance().resolveFormat(JsonFormat.CONTENT_TYPE);
        CloudEvent event = format.deserialize(message);
        var line = JSON.createObjectNode();
        for (var name : event.getAttributeNames()) line.put(name, event.getAttribute(name).toString());
        for (var name : event.getExtensionNames()) line.putPOJO(name, event.getExtension(name));
        line.set("data", JSON.readTree(event.getData().toBytes()));
        System.out.println(JSON.writeValueAsString(line));
    }
}
