"""Plans rehearsed: a scenario file plays a plan against a simulated exchange with the execution code of production."""
