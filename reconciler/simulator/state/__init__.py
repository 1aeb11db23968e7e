"""The content of a simulated cluster: records, clock, history, snapshots, asynchronous work."""
