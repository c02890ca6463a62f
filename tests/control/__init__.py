"""Control: steering as tables, the registry over both its forms, the API with real credentials and real processes."""
