"""Read-only GraphQL over the same use cases as REST. Needs the extra `graphql`."""
