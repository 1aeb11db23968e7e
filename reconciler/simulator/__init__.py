"""An embedded Redis Enterprise REST API server, for demos, tests and trying things out.

It is an independent implementation of the API: written from documented facts, with its own data (`data/`), and without
imports from the rest of the project. `core.Core` is the server without HTTP; `http.server.Server` serves it over TLS,
one port per node; `testing.running` does that for a test; `python -m reconciler.simulator` runs it as a process."""
