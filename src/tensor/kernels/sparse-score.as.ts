// Scores of one text against sparse 8-bit weights that are stored by feature.

// @ts-ignore: decorator
@inline function add<Id>(kept: u32, columns: u32, values: u32, offsets: u32, problems: u32, weights: u32, scores: u32): void {
  for (let i: u32 = 0; i < kept; i++) {
    const row = offsets + (load<u32>(columns + (i << 2)) << 2)
    const x = load<f32>(values + (i << 2))
    const last = load<u32>(row, 4)
    for (let k = load<u32>(row); k < last; k++) {
      const at = scores + (<u32>load<Id>(problems + k * <u32>sizeof<Id>()) << 2)
      store<f32>(at, load<f32>(at) + x * <f32>load<i8>(weights + k))
    }
  }
}

/** Adds value x weight to `scores` for every weight of the text's features. Feature c has the problems and weights offsets[c] .. offsets[c+1]-1. */
export function score8(kept: u32, columns: u32, values: u32, offsets: u32, problems: u32, weights: u32, scores: u32): void {
  add<u8>(kept, columns, values, offsets, problems, weights, scores)
}

/** The same with 16-bit problem numbers. */
export function score16(kept: u32, columns: u32, values: u32, offsets: u32, problems: u32, weights: u32, scores: u32): void {
  add<u16>(kept, columns, values, offsets, problems, weights, scores)
}

/** The same with 32-bit problem numbers. */
export function score32(kept: u32, columns: u32, values: u32, offsets: u32, problems: u32, weights: u32, scores: u32): void {
  add<u32>(kept, columns, values, offsets, problems, weights, scores)
}
