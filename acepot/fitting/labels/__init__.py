"""Whether labels can be trusted: what is found before a fit, told in a few lines.

`examination.examine` is called once by every fit. Facts about single labels are in `limits`, about
compositions and reference energies in `composition`, about distances in `contacts`. Whether
energies, forces and virials are of one potential, in one unit and with one sign, a small model
of the forces tells (`witness`, `agreement`).
"""
