import { describe, expect, test } from 'vitest'
import { random } from '../random.ts'
import { Arena } from './arena.ts'
import type { DualSvmPass } from './dual-svm.ts'
import { loadKernels } from './load.ts'

interface Problem {
  rows: number
  features: number
  offsets: number[]
  columns: number[]
  values: number[]
  rights: number[]
}

function someProblem(rows: number, features: number, problems: number, perRow: number): Problem {
  const r = random('dual-svm test', rows, features, problems)
  const problem: Problem = { rows, features, offsets: [0], columns: [], values: [], rights: [] }
  let at = 0
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < perRow; i++) {
      problem.columns.push(Math.floor(r.uniform(at++) * features))
      problem.values.push(Math.fround(r.normal(at++)))
    }
    problem.offsets.push(problem.columns.length)
    problem.rights.push(Math.floor(r.uniform(at++) * 2 ** problems))
  }
  return problem
}

/** Runs passes of a kernel; returns its weights, alphas and the violations it reported. */
async function runKernel(p: Problem, width: 4 | 16, problems: number, cost: number, passes: number, threshold: number) {
  const arena = Arena.shared()
  const kernels = await loadKernels<{ pass4: DualSvmPass; pass16: DualSvmPass }>('dual-svm', arena.memory)
  const at = {
    order: arena.allocate(p.rows * 4),
    offsets: arena.allocate((p.rows + 1) * 4),
    columns: arena.allocate(p.columns.length * 4),
    values: arena.allocate(p.values.length * 4),
    norms: arena.allocate(p.rows * 4),
    rights: arena.allocate(p.rows * 2),
    weights: arena.allocate((p.features + 1) * width * 4),
    alphas: arena.allocate(p.rows * width * 4),
    diagonals: arena.allocate(64),
    skips: arena.allocate(p.rows),
  }
  arena.u32(at.order, p.rows).set(Array.from({ length: p.rows }, (_, i) => (i * 7) % p.rows))
  arena.u32(at.offsets, p.rows + 1).set(p.offsets)
  arena.u32(at.columns, p.columns.length).set(p.columns)
  arena.f32(at.values, p.values.length).set(p.values)
  arena.f32(at.norms, p.rows).set(Array.from({ length: p.rows }, (_, row) => squaredLength(p, row)))
  arena.u16(at.rights, p.rows).set(p.rights)
  arena.f32(at.diagonals, 16).fill(0.5 / cost)
  const pass = width === 4 ? kernels.pass4 : kernels.pass16
  const violations: number[] = []
  for (let i = 0; i < passes; i++)
    violations.push(
      pass(
        p.rows,
        at.order,
        at.offsets,
        at.columns,
        at.values,
        at.norms,
        at.rights,
        2 ** problems - 1,
        at.weights,
        at.alphas,
        1,
        at.diagonals,
        at.skips,
        threshold,
      ),
    ) // prettier-ignore
  return {
    weights: arena.f32(at.weights, (p.features + 1) * width).slice(),
    alphas: arena.f32(at.alphas, p.rows * width).slice(),
    violations,
  }
}

/** The kernel works on a matrix without repeated columns in a row; with repeats the length is that of the sum. */
function squaredLength(p: Problem, row: number): number {
  const sums = new Map<number, number>()
  for (let i = p.offsets[row]!; i < p.offsets[row + 1]!; i++)
    sums.set(p.columns[i]!, (sums.get(p.columns[i]!) ?? 0) + p.values[i]!)
  return [...sums.values()].reduce((sum, value) => sum + value * value, 0)
}

/** Plain coordinate descent on one problem in double precision, the same order and the same rule of rows left out. */
function reference(p: Problem, problem: number, problems: number, cost: number, passes: number, threshold: number) {
  const weights = Array.from({ length: problems }, () => new Float64Array(p.features + 1))
  const alphas = Array.from({ length: problems }, () => new Float64Array(p.rows))
  const skips = new Uint8Array(p.rows)
  const levels = new Uint8Array(p.rows)
  for (let i = 0; i < passes; i++) {
    for (let r = 0; r < p.rows; r++) {
      const row = (r * 7) % p.rows
      if (skips[row]! > 0) {
        skips[row]!--
        continue
      }
      let changed = false
      for (let q = 0; q < problems; q++) {
        const w = weights[q]!
        const y = (p.rights[row]! >> q) & 1 ? 1 : -1
        let margin = w[0]!
        for (let j = p.offsets[row]!; j < p.offsets[row + 1]!; j++) margin += w[p.columns[j]! + 1]! * p.values[j]!
        const a = alphas[q]![row]!
        const d = 0.5 / cost
        const g = y * margin - 1 + d * a
        const violation = Math.abs(a <= 0 ? Math.min(g, 0) : g)
        if (violation <= threshold) continue
        const next = Math.max(a - g / (squaredLength(p, row) + 1 + d), 0)
        if (next === a) continue
        changed = true
        alphas[q]![row] = next
        w[0]! += (next - a) * y
        for (let j = p.offsets[row]!; j < p.offsets[row + 1]!; j++)
          w[p.columns[j]! + 1]! += (next - a) * y * p.values[j]!
      }
      levels[row] = changed ? 0 : Math.min(3, levels[row]! + 1)
      skips[row] = 2 ** levels[row]! - 1
    }
  }
  return { weights: weights[problem]!, alphas: alphas[problem]! }
}

describe.each([4, 16] as const)('dual SVM, %i problems side by side', (width) => {
  const problems = width - 1 // one lane stays unused

  test('six passes equal a plain loop', async () => {
    const p = someProblem(40, 30, problems, 7)
    const kernel = await runKernel(p, width, problems, 0.7, 6, 0.01)
    for (const problem of [0, 1, problems - 1]) {
      const plain = reference(p, problem, problems, 0.7, 6, 0.01)
      for (let f = 0; f <= p.features; f++)
        expect(kernel.weights[f * width + problem]).toBeCloseTo(plain.weights[f]!, 4)
      for (let row = 0; row < p.rows; row++)
        expect(kernel.alphas[row * width + problem]).toBeCloseTo(plain.alphas[row]!, 4)
    }
    for (let f = 0; f <= p.features; f++) expect(kernel.weights[f * width + problems]).toBe(0)
  })

  test('many passes reach the optimum: the primal gradient vanishes', async () => {
    const p = someProblem(60, 40, problems, 6)
    const cost = 0.5
    const { weights, alphas, violations } = await runKernel(p, width, problems, cost, 400, 0)
    expect(violations.at(-1)).toBeLessThan(1e-3)
    for (let problem = 0; problem < problems; problem++) {
      // d/dw of |w|^2 / 2 + C sum max(0, 1 - y m)^2
      const gradient = Float64Array.from({ length: p.features + 1 }, (_, f) => weights[f * width + problem]!)
      let primal = 0
      let dual = 0
      for (let f = 0; f <= p.features; f++) {
        primal += gradient[f]! ** 2 / 2
        dual -= gradient[f]! ** 2 / 2
      }
      for (let row = 0; row < p.rows; row++) {
        const y = (p.rights[row]! >> problem) & 1 ? 1 : -1
        let margin = weights[problem]!
        for (let j = p.offsets[row]!; j < p.offsets[row + 1]!; j++)
          margin += weights[(p.columns[j]! + 1) * width + problem]! * p.values[j]!
        const slack = Math.max(0, 1 - y * margin)
        primal += cost * slack ** 2
        const alpha = alphas[row * width + problem]!
        dual += alpha - (alpha * alpha) / (4 * cost)
        gradient[0]! -= 2 * cost * slack * y
        for (let j = p.offsets[row]!; j < p.offsets[row + 1]!; j++)
          gradient[p.columns[j]! + 1]! -= 2 * cost * slack * y * p.values[j]!
      }
      expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(0.01)
      expect(Math.abs(primal - dual) / primal).toBeLessThan(1e-3)
    }
  })
})
