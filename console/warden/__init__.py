"""The warden: a small daemon that gives agents leave to act, a few seconds at a time, and takes it back."""
