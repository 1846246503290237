! The C interface of the evaluator (c_api.h, which says what everything means) for Fortran 2003:
! compile this file with the program and link libace. Arrays are Fortran's, the last index of C
! first: positions(3, atoms), cells(3, 3, structures) with lattice vectors cells(:, k, s). Indices
! of species, first and neighbours begin with 0, as in C.
module ace
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: ace_ok = 0, ace_error_argument = 1, ace_error_tables = 2, &
    ace_error_too_close = 3, ace_error_not_finite = 4, ace_error_too_dense = 5, &
    ace_error_memory = 6, ace_error_instruction_set = 7, ace_error_threads = 8, &
    ace_error_interrupted = 9, ace_error_structures = 10, ace_error_internal = 99
  integer(c_int), parameter :: ace_double = 0, ace_single = 1, ace_mixed = 2

  ! Each begins with its size, as c_sizeof(struct) says; everything else is null or 0 at first.
  type, bind(c) :: ace_options
    integer(c_size_t) :: size = 0
    type(c_ptr) :: instruction_set = c_null_ptr
    integer(c_int) :: precision = ace_double
  end type

  type, bind(c) :: ace_results
    integer(c_size_t) :: size = 0
    integer(c_int) :: outputs = 0
    type(c_ptr) :: energy = c_null_ptr, energies = c_null_ptr, forces = c_null_ptr
    type(c_ptr) :: virial = c_null_ptr, virials = c_null_ptr, edge_forces = c_null_ptr
    type(c_ptr) :: status = c_null_ptr, messages = c_null_ptr
    integer(c_size_t) :: message_size = 0
    type(c_ptr) :: centroid_virials = c_null_ptr
    type(c_ptr) :: weights = c_null_ptr, site_weights = c_null_ptr
  end type

  type, bind(c) :: ace_structures
    integer(c_size_t) :: size = 0
    integer(c_int64_t) :: structures = 0
    type(c_ptr) :: first = c_null_ptr, positions = c_null_ptr, species = c_null_ptr
    type(c_ptr) :: cells = c_null_ptr, pbc = c_null_ptr
    integer(c_int) :: threads = 0
    type(c_funptr) :: stop = c_null_funptr
    type(c_ptr) :: stop_context = c_null_ptr
  end type

  type, bind(c) :: ace_neighbours
    integer(c_size_t) :: size = 0
    integer(c_int64_t) :: atoms = 0, points = 0
    type(c_ptr) :: species = c_null_ptr, first = c_null_ptr, neighbours = c_null_ptr
    type(c_ptr) :: positions = c_null_ptr, vectors = c_null_ptr
    integer(c_int) :: threads = 0
    type(c_funptr) :: stop = c_null_funptr
    type(c_ptr) :: stop_context = c_null_ptr
  end type

  type, bind(c) :: ace_sites
    integer(c_size_t) :: size = 0
    type(c_ptr) :: values = c_null_ptr, displacements = c_null_ptr, strains = c_null_ptr
    type(c_ptr) :: derivatives = c_null_ptr, adjoints = c_null_ptr
    type(c_ptr) :: forces = c_null_ptr, virial = c_null_ptr, virials = c_null_ptr
    type(c_ptr) :: status = c_null_ptr, messages = c_null_ptr
    integer(c_size_t) :: message_size = 0
    type(c_ptr) :: edge_displacements = c_null_ptr, edge_forces = c_null_ptr
  end type

  type, bind(c) :: ace_rows
    integer(c_size_t) :: size = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int64_t) :: stride = 0
    type(c_ptr) :: energy = c_null_ptr, forces = c_null_ptr, virial = c_null_ptr
    type(c_ptr) :: status = c_null_ptr, messages = c_null_ptr
    integer(c_size_t) :: message_size = 0
  end type

  interface
    integer(c_int) function ace_version() bind(c)
      import
    end function
    type(c_ptr) function ace_version_string() bind(c)
      import
    end function
    integer(c_int) function ace_last_status() bind(c)
      import
    end function
    type(c_ptr) function ace_last_error() bind(c)
      import
    end function
    integer(c_int64_t) function ace_last_structure() bind(c)
      import
    end function
    integer(c_int) function ace_last_atoms(atoms) bind(c)
      import
      integer(c_int64_t) :: atoms(2)
    end function
    type(c_ptr) function ace_last_error_of(first, second) bind(c)
      import
      integer(c_int64_t), value :: first, second
    end function
    integer(c_int) function ace_open(tables, bytes, options, evaluator) bind(c)
      import
      character(kind=c_char), intent(in) :: tables(*)
      integer(c_size_t), value :: bytes
      type(ace_options), intent(in) :: options
      type(c_ptr), intent(out) :: evaluator
    end function
    type(c_ptr) function ace_create(tables, size, instruction_set) bind(c)
      import
      character(kind=c_char), intent(in) :: tables(*)
      integer(c_size_t), value :: size
      type(c_ptr), value :: instruction_set
    end function
    subroutine ace_destroy(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end subroutine
    type(c_ptr) function ace_instruction_set(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    integer(c_int) function ace_species(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    integer(c_int) function ace_atomic_number(evaluator, species) bind(c)
      import
      type(c_ptr), value :: evaluator
      integer(c_int), value :: species
    end function
    real(c_double) function ace_isolated_energy(evaluator, species) bind(c)
      import
      type(c_ptr), value :: evaluator
      integer(c_int), value :: species
    end function
    integer(c_int) function ace_outputs(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    integer(c_int) function ace_functions(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    real(c_double) function ace_cutoff(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    real(c_double) function ace_pair_cutoff(evaluator, centre, neighbour) bind(c)
      import
      type(c_ptr), value :: evaluator
      integer(c_int), value :: centre, neighbour
    end function
    integer(c_int) function ace_evaluate_structures(evaluator, structures, results) bind(c)
      import
      type(c_ptr), value :: evaluator
      type(ace_structures), intent(in) :: structures
      type(ace_results), intent(in) :: results
    end function
    integer(c_int) function ace_evaluate_neighbours(evaluator, neighbours, results) bind(c)
      import
      type(c_ptr), value :: evaluator
      type(ace_neighbours), intent(in) :: neighbours
      type(ace_results), intent(in) :: results
    end function
    integer(c_int) function ace_evaluate(evaluator, n, positions, species, cell, pbc, threads, &
        outputs, energies, forces, virials) bind(c)
      import
      type(c_ptr), value :: evaluator, positions, species, cell, pbc, energies, forces, virials
      integer(c_int), value :: n, threads, outputs
    end function
    integer(c_int) function ace_evaluate_list(evaluator, n, points, positions, species, first, &
        neighbours, threads, outputs, energies, forces, virials) bind(c)
      import
      type(c_ptr), value :: evaluator, positions, species, first, neighbours
      type(c_ptr), value :: energies, forces, virials
      integer(c_int), value :: n, points, threads, outputs
    end function
    integer(c_int) function ace_site_values(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    integer(c_int) function ace_irreps(evaluator) bind(c)
      import
      type(c_ptr), value :: evaluator
    end function
    integer(c_int) function ace_irrep(evaluator, which, l, parity, width) bind(c)
      import
      type(c_ptr), value :: evaluator
      integer(c_int), value :: which
      integer(c_int), intent(out) :: l, parity, width
    end function
    integer(c_int) function ace_evaluate_sites(evaluator, structures, sites) bind(c)
      import
      type(c_ptr), value :: evaluator
      type(ace_structures), intent(in) :: structures
      type(ace_sites), intent(in) :: sites
    end function
    integer(c_int) function ace_evaluate_neighbour_sites(evaluator, neighbours, sites) bind(c)
      import
      type(c_ptr), value :: evaluator
      type(ace_neighbours), intent(in) :: neighbours
      type(ace_sites), intent(in) :: sites
    end function
    integer(c_int) function ace_fill_rows(evaluator, structures, rows) bind(c)
      import
      type(c_ptr), value :: evaluator
      type(ace_structures), intent(in) :: structures
      type(ace_rows), intent(in) :: rows
    end function
  end interface

contains

  ! What a C function that gives text says.
  function ace_text(from) result(text)
    type(c_ptr), intent(in) :: from
    character(:), allocatable :: text
    character(kind=c_char), pointer :: c(:)
    integer :: n, k
    interface
      integer(c_size_t) function strlen(s) bind(c)
        import
        type(c_ptr), value :: s
      end function
    end interface
    n = int(strlen(from))
    call c_f_pointer(from, c, [n])
    allocate (character(n) :: text)
    do k = 1, n
      text(k:k) = c(k)
    end do
  end function
end module
