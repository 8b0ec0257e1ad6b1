"""Evidence: the window, captures, what people attach."""
