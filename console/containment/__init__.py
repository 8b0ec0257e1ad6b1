"""Stopping agents: who is reached how, how far an order got, what proves it, and what was never reached."""
