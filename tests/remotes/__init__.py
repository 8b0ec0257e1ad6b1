"""Tests of the remotes: one contract for all of them, with real servers, and with servers that lie."""
