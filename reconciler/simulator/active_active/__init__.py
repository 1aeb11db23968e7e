"""Active-Active databases: their configuration, their tasks, and the endpoints."""
