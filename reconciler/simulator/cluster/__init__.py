"""What a cluster has once: settings, certificates, licence, DNS suffixes; and what a new cluster holds."""
