"""JSON files of ACE1.jl and of the packages it grew from (ACE.jl 0.8, SHIPs.jl 0.7).

A potential is E = Σ_i (E0 + Σ_k c_k Re Π_t A_{v_t}) + 1/2 Σ_ij V(r_ij), its functions written
out product by product. Everything in a file is checked before it is used; nothing in it is run.
"""

from acepot.io.ace1.potential import model_of_json, read_ace1

__all__ = ["model_of_json", "read_ace1"]
