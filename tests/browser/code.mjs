// Reads the clock that tests/src/clock.rs burns into pictures: wall-clock milliseconds as black and white squares.
// Eight columns by six rows, the lowest bit first: 40 bits of time, then the lowest 8 of them inverted.

export const SQUARE = 32;
export const COLUMNS = 8;
export const ROWS = 6;
const TIME_BITS = 40;
const CHECK_BITS = 8;

// Milliseconds from the brightness (0 to 255) of the squares' centres, the nearest to `near`; null for anything else
// than a clock.
export function read(values, near) {
  const seen = values.map((v) => (v > 127 ? 1 : 0));
  for (let i = 0; i < CHECK_BITS; i += 1) {
    if (seen[i] === seen[TIME_BITS + i]) return null;
  }
  let low = 0;
  for (let i = 0; i < TIME_BITS; i += 1) low += seen[i] * 2 ** i;
  const range = 2 ** TIME_BITS;
  return low + Math.round((near - low) / range) * range;
}
