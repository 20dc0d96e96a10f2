"""How good a model is: on tasks with known answers, and beside another model."""
