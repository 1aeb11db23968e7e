"""What the server does: one module an area, each function registered for its operations by `registry.serves`.

All modules of this package are imported when the first server starts; adding an operation is a row in
`data/endpoints.json` and a function here.
"""
