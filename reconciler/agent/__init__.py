"""The loop that keeps clusters equal to git. `commands.run` starts it; `web` shows what `status` holds.

loop      turns: who is due, fetch, reload, stop
passes    one pass over one cluster
orders    what a pass is given, and what it gives back (values)
holding   what it leaves alone unasked (pure)
company   what it owes to other clusters, where something stands in several
follow    the source: accept or reject a revision as a whole
backoff   when the next try is due (pure)
lanes     who is next, so that sick clusters hold up nobody (pure)
history   since when something differs, and who keeps undoing it (pure)
witness   what a cluster's own log says of a change
logins    refused logins, remembered over restarts
status    what others may see
log       lines for people and machines
tracing   spans for OpenTelemetry, where it is installed
"""
