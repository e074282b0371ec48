/** What a run found, and one method's numbers over all zoos. */
import { mean, spread } from '../results-page.ts'
import type { ZooSize } from '../zoo/zoo.ts'
import type { Candidate } from './candidates.ts'
import type { Outcome } from './measure.ts'
import type { Study } from './study.ts'

export interface Findings {
  readonly size: ZooSize
  readonly studies: readonly Study[]
  /** By method, its outcomes in the order of the studies. */
  readonly outcomes: ReadonlyMap<Candidate, readonly Outcome[]>
  /** Of the best data-free merge: accuracy with k shots, one value a zoo seed and shot seed. */
  readonly curve: { readonly method: string; readonly values: ReadonlyMap<number, readonly number[]> } | undefined
  readonly test: number
  readonly shots: number
  readonly shotSeeds: readonly number[]
  readonly tune: boolean
  readonly command: string
}

export const percent = (value: number): string => (100 * value).toFixed(1)
export const over = (values: readonly number[]): string =>
  values.length === 1
    ? percent(values[0]!)
    : spread(
        values.map((value) => 100 * value),
        1,
      )
export const points = (value: number): string => `${(100 * value).toFixed(1)} points`

/** One method over all zoos: means over the tasks, one a zoo seed. */
export class Summary {
  readonly name: string
  readonly family: Candidate['family']
  readonly outcomes: readonly Outcome[]
  readonly own: readonly number[]
  readonly rotated: readonly number[]
  readonly neighbours: readonly number[]
  readonly explained: number
  /** One a zoo seed and shot seed. */
  readonly fitted: readonly number[]

  constructor(name: string, family: Candidate['family'], outcomes: readonly Outcome[]) {
    this.name = name
    this.family = family
    this.outcomes = outcomes
    this.own = outcomes.map(({ own }) => mean(own))
    this.rotated = outcomes.map(({ rotated }) => mean(rotated))
    this.neighbours = outcomes.map(({ neighbours }) => mean(neighbours))
    this.explained = mean(outcomes.map(({ explained }) => mean(explained)))
    this.fitted = outcomes.flatMap(({ trained }) => trained[0]!.map((_, s) => mean(trained.map((of) => of[s]!))))
  }

  get lambdas(): string {
    return [...new Set(this.outcomes.flatMap(({ lambda }) => (lambda === undefined ? [] : [lambda])))].join(', ')
  }

  /** The share of the loss against the individual models that fitting wins back. */
  recovered(top: number): number {
    return (mean(this.fitted) - mean(this.own)) / (top - mean(this.own))
  }
}
