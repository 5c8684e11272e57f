"""What several rooms of tests stand on."""
