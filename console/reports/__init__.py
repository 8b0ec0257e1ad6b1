"""What leaves the war room as a document."""
