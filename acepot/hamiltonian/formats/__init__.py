"""Files of Hamiltonians and overlap matrices of electronic-structure programs."""
