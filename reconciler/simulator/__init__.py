"""An embedded Redis Enterprise REST API server, for demos, tests and trying things out.

It is a second witness of the API: written from documented facts, with data of its own (`data/`), importing nothing of
the rest of the project. `core.Core` is the server without HTTP; `server.Server` puts it on real TLS sockets, one port a
node; `testing.running` does that for a test; `python -m reconciler.simulator` does it as a process.
"""
