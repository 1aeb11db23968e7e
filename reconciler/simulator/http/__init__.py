"""The network side: TLS listeners, certificates of the server, and the control endpoint."""
