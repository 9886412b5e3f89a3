"""Low-rank adapters of released models: files of every layout, used, trained and written."""
