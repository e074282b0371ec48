import { beforeAll, describe, expect, it } from 'vitest'
import { type Matrix, MatrixKernels, matrix, multiply, transposed } from '../tensor/linear-algebra/index.ts'
import { random } from '../tensor/random.ts'
import { distillHead, divergence, logitGradient, logitsOf, probabilitiesOf } from './distill-head.ts'
import { type LinearHead, procrustes, rotateHead } from './procrustes.ts'

let kernels: MatrixKernels
beforeAll(async () => {
  kernels = await MatrixKernels.open()
})
const close = (found: ArrayLike<number>, expected: readonly number[], digits = 10) => {
  expect(found.length).toBe(expected.length)
  for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, digits)
}
const one = { activation: 'softmax' as const, groups: [{ start: 0, end: 2 }] }

describe('unit checks of the catalogue', () => {
  it('1: a quarter turn, and the head turned with it', () => {
    const found = procrustes(kernels, matrix(2, 2, [1, 0, 0, 1]), matrix(2, 2, [0, 1, -1, 0]), {
      center: false,
      shrink: 0,
    })
    close(found.rotation.data, [0, 1, -1, 0])
    expect(found.residual).toBeCloseTo(0, 10)
    const head = rotateHead(kernels, { weight: matrix(1, 2, [2, 1]), bias: Float64Array.of(0.5) }, found)
    close(head.weight.data, [1, -2])
    close(head.bias, [0.5])
  })

  it('2: the rotation is recovered although the cloud is not round', () => {
    const z = matrix(4, 2, [2, 0, 0, 0.5, -2, 0, 0, -0.5])
    const turn = matrix(2, 2, [0.6, 0.8, -0.8, 0.6])
    const found = procrustes(kernels, z, multiply(kernels, z, turn))
    close(found.rotation.data, [0.6, 0.8, -0.8, 0.6])
  })

  it('3: the divergence is of the teacher from the student', () => {
    const [student, teacher] = [matrix(1, 2, [0.5, 0.5]), matrix(1, 2, [0.9, 0.1])]
    expect(divergence(teacher, student, 'softmax')).toBeCloseTo(0.368064, 6)
    expect(divergence(student, teacher, 'softmax')).toBeCloseTo(0.510826, 6)
  })

  it('4: the gradient on the logits is student minus teacher', () => {
    const student = probabilitiesOf(matrix(1, 2, [0, Math.log(3)]), one)
    close(logitGradient(matrix(1, 2, [0.9, 0.1]), student).data, [-0.65, 0.65])
  })
})

const normal = (rows: number, columns: number, key: string): Matrix => {
  const draw = random(key)
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => draw.normal(i)),
  )
}

describe('procrustes', () => {
  it('undoes rotation and shift, so that the turned head answers as the old one does', () => {
    const z = normal(60, 5, 'features')
    const turn = procrustes(kernels, normal(9, 5, 'a'), normal(9, 5, 'b')).rotation
    const moved = multiply(kernels, z, turn)
    const target = matrix(
      60,
      5,
      moved.data.map((value, i) => value + (i % 5)),
    )
    const head = { weight: normal(3, 5, 'head'), bias: Float64Array.of(1, 2, 3) }
    const found = procrustes(kernels, z, target)
    const turned = rotateHead(kernels, head, found)
    close(logitsOf(kernels, z, turned).data, [...logitsOf(kernels, target, head).data], 8)
    expect(found.residual).toBeLessThan(1e-10)
    expect(found.before).toBeGreaterThan(0.5)
  })

  it('gives an orthogonal map that leaves unseen directions alone when there are few samples', () => {
    const z = normal(3, 20, 'few')
    const { rotation } = procrustes(kernels, z, z)
    const product = multiply(kernels, rotation, transposed(rotation))
    for (let i = 0; i < 20; i++)
      for (let j = 0; j < 20; j++) {
        expect(product.data[i * 20 + j]).toBeCloseTo(i === j ? 1 : 0, 8)
        expect(rotation.data[i * 20 + j]).toBeCloseTo(i === j ? 1 : 0, 8)
      }
  })
})

describe('distillHead', () => {
  it('follows the gradient: finite differences agree with student minus teacher', () => {
    const logits = normal(1, 5, 'logits')
    const groups = {
      activation: 'softmax' as const,
      groups: [
        { start: 0, end: 2 },
        { start: 2, end: 5 },
      ],
    }
    const teacher = probabilitiesOf(normal(1, 5, 'teacher'), groups)
    for (const normalisation of [groups, { ...groups, activation: 'sigmoid' as const }]) {
      const goal =
        normalisation.activation === 'sigmoid' ? probabilitiesOf(normal(1, 5, 'teacher'), normalisation) : teacher
      const loss = (z: Matrix) => divergence(goal, probabilitiesOf(z, normalisation), normalisation.activation)
      const slope = logitGradient(goal, probabilitiesOf(logits, normalisation)).data
      for (let i = 0; i < 5; i++) {
        const step = (by: number) =>
          loss(
            matrix(
              1,
              5,
              logits.data.map((value, j) => value + (i === j ? by : 0)),
            ),
          )
        expect((step(1e-5) - step(-1e-5)) / 2e-5).toBeCloseTo(slope[i]!, 6)
      }
    }
  })

  it('brings a head that reads other features to the answers of its teacher', () => {
    const z = normal(80, 6, 'old')
    const turn = procrustes(kernels, normal(9, 6, 'c'), normal(9, 6, 'd')).rotation
    const head = { weight: normal(2, 6, 'w'), bias: Float64Array.of(0, 1) }
    const teacher = probabilitiesOf(logitsOf(kernels, z, head), one)
    const features = multiply(kernels, z, turn)
    const loss = (h: LinearHead) => divergence(teacher, probabilitiesOf(logitsOf(kernels, features, h), one), 'softmax')
    const fitted = distillHead(kernels, features, teacher, head, one, { steps: 400, learningRate: 0.02 })
    expect(loss(fitted)).toBeLessThan(0.05 * loss(head))
  })
})
