/**
 * The linear algebra beside NumPy and SciPy on one thread, the same operations on normal matrices in turn; medians of the runs. Writes
 * docs/results/linear-algebra.md.
 *
 *     npx tsx bench/linear-algebra.ts [--runs 5]
 */
import { spawn } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import {
  assign,
  cholesky,
  eigh,
  type Matrix,
  MatrixKernels,
  matrix,
  multiply,
  qr,
  scaleColumns,
  svd,
  truncatedSvd,
} from '../dist/tensor/linear-algebra/index.js'
import { random } from '../dist/tensor/random.js'
import { median, provenance, table, writePage } from './results-page.ts'

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    python: { type: 'string', default: 'bench/peers/venv/bin/python' },
    out: { type: 'string', default: 'docs/results/linear-algebra.md' },
  },
})

const kernels = await MatrixKernels.open()
const load = loadavg()[0]!

function normals(rows: number, columns: number): Matrix {
  const r = random('linear algebra', rows, columns)
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => r.normal(i)),
  )
}

const symmetric = (a: Matrix): Matrix =>
  matrix(
    a.rows,
    a.rows,
    a.data.map((value, i) => value + a.data[(i % a.rows) * a.rows + Math.floor(i / a.rows)]!),
  )
function definite(a: Matrix): Matrix {
  const gram = multiply(kernels, a, a, { transposeB: true })
  for (let i = 0; i < a.rows; i++) gram.data[i * a.rows + i]! += 1
  return gram
}

const operations = {
  multiply: (a: Matrix) => multiply(kernels, a, a, { transposeB: true }),
  qr: (a: Matrix) => qr(kernels, a),
  svd: (a: Matrix) => svd(kernels, a),
  eigh: (a: Matrix) => eigh(kernels, symmetric(a)),
  cholesky: (a: Matrix) => cholesky(kernels, definite(a)),
  truncatedSvd: (a: Matrix) => truncatedSvd(kernels, a, { rank: 32 }),
  assign: (a: Matrix) => assign(a),
}
type Operation = keyof typeof operations

const cases: [Operation, number, number, string][] = [
  ['multiply', 768, 768, 'a aᵀ'],
  ['qr', 768, 768, 'thin QR'],
  ['svd', 256, 256, 'thin SVD'],
  ['svd', 768, 768, 'thin SVD'],
  ['truncatedSvd', 768, 768, 'truncated SVD, rank 32'],
  ['truncatedSvd', 1024, 4096, 'truncated SVD, rank 32'],
  ['eigh', 256, 256, 'symmetric eigenvectors of a + aᵀ'],
  ['eigh', 768, 768, 'symmetric eigenvectors of a + aᵀ'],
  ['cholesky', 768, 768, 'Cholesky of a aᵀ + 1'],
  ['assign', 256, 256, 'assignment'],
  ['svd', 1024, 4096, 'thin SVD'],
]

const peer = spawn(flags.python, ['bench/peers/linear_algebra.py'], {
  env: { ...process.env, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
  stdio: ['pipe', 'pipe', 'inherit'],
})
const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()
const { numpy } = JSON.parse((await lines.next()).value) as { numpy: string }

async function timePeer(operation: Operation, rows: number, columns: number): Promise<number> {
  peer.stdin.write(`${JSON.stringify([operation, rows, columns])}\n`)
  return Number((await lines.next()).value)
}

function timeOurs(operation: Operation, a: Matrix): number {
  const start = performance.now()
  operations[operation](a)
  return (performance.now() - start) / 1000
}

const rows: string[][] = []
for (const [operation, m, n, what] of cases) {
  const a = normals(m, n)
  const runs = m * n >= 2 ** 21 ? Math.min(3, Number(flags.runs)) : Number(flags.runs)
  timeOurs(operation, normals(64, 64)) // compiled
  await timePeer(operation, m, n)
  const [ours, theirs]: [number[], number[]] = [[], []]
  for (let run = 0; run < runs; run++) {
    ours.push(timeOurs(operation, a))
    theirs.push(await timePeer(operation, m, n))
  }
  const milliseconds = (seconds: number) => (1000 * seconds).toFixed(seconds < 0.1 ? 1 : 0)
  const ratios = ours.map((seconds, run) => seconds / theirs[run]!)
  rows.push([
    what,
    `${m} x ${n}`,
    milliseconds(median(ours)),
    milliseconds(median(theirs)),
    median(ratios).toFixed(1),
    `${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)}`,
  ])
  console.error(rows.at(-1)!.join('  '))
}
peer.stdin.end()

const a = normals(768, 768)
const { u, s, vt } = svd(kernels, a)
const scaled = scaleColumns({ ...u, data: u.data.slice() }, s)
const difference = (x: Matrix, y: (i: number) => number) =>
  x.data.reduce((most, value, i) => Math.max(most, Math.abs(value - y(i))), 0).toExponential(1)
const unit = (i: number) => (i % 769 === 0 ? 1 : 0)

await writePage(
  flags.out,
  `# Linear algebra

\`src/tensor/linear-algebra\` (double precision, WebAssembly SIMD, one thread) beside NumPy ${numpy} (OpenBLAS, one thread), SciPy for the assignment and
scikit-learn for the truncated SVD, on normal random matrices; both in turn, medians of ${flags.runs} runs (3 of the largest). The ratio is the median of the runs'
ratios, with their range. Load average of the machine's ${cpus().length} cores: ${load.toFixed(1)} at the start, ${loadavg()[0]!.toFixed(1)} at the end; under load times are
longer for both.

${table(['operation', 'size', 'ours, ms', 'peer, ms', 'ratio', 'range'], rows)}

WebAssembly has vectors of two doubles and no fused multiply-add, where OpenBLAS uses four or eight with it: a ratio of 4 to 8 is the ceiling for
products, and what consists of products cannot be nearer.

Accuracy of the thin SVD of 768 x 768 normal numbers, largest differences: reconstruction ${difference(multiply(kernels, scaled, vt), (i) => a.data[i]!)},
UᵀU ${difference(multiply(kernels, u, u, { transposeA: true }), unit)}, VᵀV ${difference(multiply(kernels, vt, vt, { transposeB: true }), unit)}.

${provenance(`npx tsx bench/linear-algebra.ts --runs ${flags.runs}`).join('\n')}`,
)
