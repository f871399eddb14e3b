"""The commands, one module for each group. Only here is a random key made, from the seed."""
