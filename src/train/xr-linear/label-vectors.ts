/** Labels as the normalised sums of their rows' features ("positive instance feature aggregation", PECOS; Yu et al., 2022), the strongest features of each. */

/** Rows in compressed form: row r has columns[offsets[r]..offsets[r+1]) with the values beside. */
export interface SparseRows {
  readonly offsets: Uint32Array
  readonly columns: Uint32Array
  readonly values: Float32Array
}

/** Rows of each unit: rows[offsets[u]..offsets[u+1]), ascending. */
export interface UnitRows {
  readonly offsets: Uint32Array
  readonly rows: Uint32Array
}

/**
 * @param features number of columns.
 * @param limit features kept of each label; its sum over thousands of rows has many that say little.
 */
export function labelVectors(matrix: SparseRows, units: UnitRows, features: number, limit: number): SparseRows {
  const count = units.offsets.length - 1
  const sums = new Float32Array(features)
  const touched = new Uint32Array(features)
  const offsets = new Uint32Array(count + 1)
  let columns = new Uint32Array(count * Math.min(limit, 32))
  let values = new Float32Array(columns.length)
  let used = 0
  for (let unit = 0; unit < count; unit++) {
    let met = 0
    for (let i = units.offsets[unit]!; i < units.offsets[unit + 1]!; i++) {
      const row = units.rows[i]!
      for (let k = matrix.offsets[row]!; k < matrix.offsets[row + 1]!; k++) {
        const column = matrix.columns[k]!
        if (sums[column] === 0) touched[met++] = column
        sums[column]! += matrix.values[k]!
      }
    }
    const own = touched.subarray(0, met)
    const least = met <= limit ? 0 : Float32Array.from(own, (column) => sums[column]!).sort()[met - limit]!
    if (used + Math.min(met, limit) > columns.length) {
      columns = grown(columns, new Uint32Array(columns.length * 2 + limit))
      values = grown(values, new Float32Array(columns.length))
    }
    const start = used
    let square = 0
    own.sort()
    for (const column of own) {
      const sum = sums[column]!
      sums[column] = 0
      if (sum < least || used - start === limit) continue
      columns[used] = column
      values[used++] = sum
      square += sum * sum
    }
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0
    for (let k = start; k < used; k++) values[k]! *= scale
    offsets[unit + 1] = used
  }
  return { offsets, columns: columns.subarray(0, used), values: values.subarray(0, used) }
}

function grown<T extends Uint32Array | Float32Array>(from: T, to: T): T {
  to.set(from)
  return to
}
