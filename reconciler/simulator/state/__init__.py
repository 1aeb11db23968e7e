"""What a simulated cluster holds: records, the state of a cluster, clock, history, snapshots, asynchronous work."""
