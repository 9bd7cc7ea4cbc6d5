"""Risk: may this be done now? Stands below trading, which hands it a snapshot and obeys the verdict."""
