"""A fleet of small real agents to practise on: processes that act in all seven classes of rollback, and stop or refuse to.

Everything below this package that runs in an agent imports the standard library only, so that hundreds of processes
start in seconds and share their memory.
"""
