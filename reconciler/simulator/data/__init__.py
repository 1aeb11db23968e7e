"""The facts of the API as JSON tables. `tables` reads them and describes their columns."""
