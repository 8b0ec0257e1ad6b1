"""The parts of the watcher: journal, baselines, detection, and what it says of itself."""
