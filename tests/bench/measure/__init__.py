"""What run.py can measure: a file for each kind, with a function for each entry of its table."""
