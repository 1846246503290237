"""Which model is the best for a budget: candidates, their errors on data left out, their cost."""
