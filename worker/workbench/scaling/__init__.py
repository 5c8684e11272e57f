"""The size of the fleet: the decision, the numbers for AWS that follow from it, and a simulator to try it."""
