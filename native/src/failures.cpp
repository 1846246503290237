#include "ace/failures.hpp"

namespace ace {

void Failures::add(int structure, const Error& error) { all.push_back({structure, error}); }

}  // namespace ace
