"""What a nested sampling run says about a material: thermodynamics, transitions, phases."""
