"""What the command line does, a module for each group of commands: the only place that makes a
random key, from the seed."""
