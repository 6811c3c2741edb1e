"""How good a judge is, on planted cases and by people, and what answers give away by themselves."""
