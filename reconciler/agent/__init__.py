"""The agent: the loop that keeps clusters in sync with git. `commands.run` starts it; `web` shows its status.

loop            ticks: starts fetches and reconciliations when they are due; reload, stop
fetching        when the source is fetched
source_watch    fetches the source; accepts or rejects a revision as a whole
cluster_states  the clusters and their schedules
slots           which clusters are reconciled next (pure)
backoff         when the next attempt is due (pure)
periodic        approvals, replaced secrets, size of the ledger
results         records the result of each reconciliation
context         what a reconciliation is given and what it returns
reconciliation  the reconciliation of one cluster
assessment      what it finds: plan, drift, holds
held            what is held without consent, or because it is contested (pure)
crosscluster    objects with members on several clusters
applier         applies the plan under locks
approvals       plans that wait for an approval
drift_history   since when something differs, and who keeps reverting it (pure)
audit           the audit log of a cluster
login_delay     when a rejected login may be attempted again
status          the status of the agent and of each cluster
log             events as log lines
tracing         events as OpenTelemetry spans
"""
