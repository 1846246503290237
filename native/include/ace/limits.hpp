// What the library takes at most. The specification of a basis is held to the same numbers before
// a fit begins (acepot/evaluate/native.py tells them).
#pragma once

namespace ace {

// The largest l of a harmonic: that of every Tables that can be read, in all that is made of them.
constexpr int most_l = 20;
// More threads than any machine has are a mistake of the caller's.
constexpr int most_threads = 4096;

}  // namespace ace
