"""One `EventPublisher` for each broker."""
