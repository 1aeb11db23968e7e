"""Nodes: bootstrap, placement of shards, services, proxies, and node actions."""
