"""One module per subcommand: reads its flags, calls the use case, prints. Imported by `reconciler.cli` on use."""
