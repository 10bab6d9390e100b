"""Parts of the suites of `OrderRepository` and `EventOutbox`, one module for each topic."""
