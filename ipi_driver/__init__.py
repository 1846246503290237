"""ACE potentials in i-PI: the client `acepot-ipi`, and a PES file for i-PI's own drivers."""
