/** Adam on one array of values (Kingma and Ba, 2015), in double precision. */

export class Adam {
  private readonly first: Float64Array
  private readonly second: Float64Array
  private readonly rate: number
  private step = 0

  /** @param rate the length of a step, in the unit of the values. */
  constructor(length: number, rate: number) {
    this.first = new Float64Array(length)
    this.second = new Float64Array(length)
    this.rate = rate
  }

  /** One step against the gradient, in place. */
  update(values: Float64Array, gradient: Float64Array): void {
    this.step++
    const { first, second } = this
    const size = (this.rate * Math.sqrt(1 - 0.999 ** this.step)) / (1 - 0.9 ** this.step)
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i]!
      const m = 0.9 * first[i]! + 0.1 * g
      const s = 0.999 * second[i]! + 0.001 * g * g
      first[i] = m
      second[i] = s
      if (m !== 0) values[i]! -= (size * m) / (Math.sqrt(s) + 1e-30)
    }
  }
}
