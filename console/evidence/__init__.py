"""Evidence: the window that raw telemetry passes through, what of it is kept, and what people bring."""
