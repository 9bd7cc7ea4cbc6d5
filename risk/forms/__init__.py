"""What people fill in about risk."""
