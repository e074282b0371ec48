/** Whether two models differ by more than chance on the same rows: the exact test of McNemar (1947) on the rows that only one of them has right. */

/** log of the binomial coefficient, by sums of logarithms. */
function logChoose(n: number, k: number): number {
  let sum = 0
  for (let i = 1; i <= k; i++) sum += Math.log(n - k + i) - Math.log(i)
  return sum
}

/** Two-sided p-value for `a` rows that only the first has right and `b` that only the second has right. */
export function mcnemar(a: number, b: number): number {
  const n = a + b
  if (n === 0) return 1
  let log = -n * Math.LN2
  let tail = 0
  for (let k = 0; k <= Math.min(a, b); k++) {
    if (k > 0) log = -n * Math.LN2 + logChoose(n, k)
    tail += Math.exp(log)
  }
  return Math.min(1, 2 * tail)
}
