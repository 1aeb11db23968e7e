"""What only observes: statistics, alerts, health, logs, actions, support packages."""
