"""Messages: drafted from the state, checked, approved, sent, and on the record."""
