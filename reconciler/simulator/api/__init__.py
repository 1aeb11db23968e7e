"""The API itself: messages, routes, field validation, documented responses, JSON Schema and OpenAPI."""
