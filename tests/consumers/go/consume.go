// Reads events from a broker with CloudEvents' SDK, and prints each as a line of JSON.
// Usage: consume kafka|rabbitmq ADDRESS PLACE COUNT; the place is a topic or a queue.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"strconv"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	count, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	read := map[string]func(string, string, int) error{"kafka": kafka, "rabbitmq": rabbitmq}
	if err := read[os.Args[1]](os.Args[2], os.Args[3], count); err != nil {
		log.Fatal(err)
	}
}

func kafka(address, topic string, count int) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(address),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup("go"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for count > 0 {
		fetches := client.PollFetches(context.Background())
		if errs := fetches.Errors(); len(errs) > 0 {
			return errs[0].Err
		}
		for _, record := range fetches.Records() {
			if err := show(record.Value); err != nil {
				return err
			}
			count--
		}
	}
	return nil
}

func rabbitmq(address, queue string, count int) error {
	connection, err := amqp.Dial(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for ; count > 0; count-- {
		delivery, open := <-deliveries
		if !open {
			return fmt.Errorf("the broker closed the channel, %d messages early", count)
		}
		if err := show(delivery.Body); err != nil {
			return err
		}
		if err := delivery.Ack(false); err != nil {
			return err
		}
	}
	return nil
}

func show(message []byte) error {
	event := cloudevents.NewEvent()
	if err := json.Unmarshal(message, &event); err != nil {
		return err
	}
	if err := event.Validate(); err != nil {
		return err
	}
	line := map[string]any{
		"specversion": event.SpecVersion(), "type": event.Type(), "id": event.ID(),
		"source": event.Source(), "subject": event.Subject(), "time": event.Time(),
		"datacontenttype": event.DataContentType(), "dataschema": event.DataSchema(),
		"data": json.RawMessage(event.Data()),
	}
	maps.Copy(line, event.Extensions())
	return json.NewEncoder(os.Stdout).Encode(line)
}
