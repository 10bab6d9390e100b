"""What the service is made of, under which licences, and that no secret lies among it."""
