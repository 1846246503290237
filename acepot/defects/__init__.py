"""How far a small training cell with a defect carries, and what force constants buy."""
