/** mergekit's task-vector methods in its arithmetic: task arithmetic, TIES, DARE, DELLA, breadcrumbs, and the sign election that SCE shares. */
import { random } from '../../tensor/random.ts'
import { epsilon } from '../elements/della-options.ts'
import { density, gamma, lambda, normalize } from '../elements/task-vector-options.ts'
import type { TensorTask } from '../engine/tensor-task.ts'
import { anyNumber, perModel, shared, yesOrNo } from '../merge-method.ts'
import { dropAtRandom, dropByRank, dropOutliers, keepLargest, type Words } from './sparsify.ts'
import { defineStrict } from './strict-method.ts'
import { differences } from './strict-tensor.ts'
import type { Numbers, TorchNumbers } from './torch-numbers.ts'

interface TrimOptions {
  readonly density: readonly number[]
  readonly gamma: readonly number[]
  readonly epsilon: readonly number[]
  readonly rescale: boolean
}

/** What is left of model t's difference. */
type Trim = (delta: Numbers, t: number, options: TrimOptions, task: TensorTask, n: TorchNumbers) => Numbers

/** The random words of a tensor and a model, the same as in the default mode. */
function words(task: TensorTask, method: string, t: number): Words {
  const numbers = random(task.seed, method, task.name, task.keys[t]!)
  return (index) => numbers.uint32(index)
}

const none: Trim = (delta) => delta
const byMagnitude: Trim = (delta, t, { density, rescale }, _, n) => keepLargest(delta, density[t]!, n, rescale)
const outliers: Trim = (delta, t, { density, gamma, rescale }, _, n) =>
  dropOutliers(delta, density[t]!, gamma[t]!, n, rescale)
const dare: Trim = (delta, t, { density, rescale }, task, n) =>
  dropAtRandom(delta, density[t]!, n, rescale, words(task, 'dare', t))
const magprune: Trim = (delta, t, { density, epsilon, rescale }, task, n) =>
  dropByRank(delta, { density: density[t]!, epsilon: epsilon[t]! }, task.shape, n, rescale, words(task, 'della', t))

/** For each element, which models agree with the sign of the sum of all (zero counts as positive). */
export function agreeing(deltas: readonly Numbers[], n: TorchNumbers): (i: number) => boolean[] {
  return (i) => {
    const positive = n.sumFew(deltas.length, (t) => deltas[t]![i]!) >= 0
    return deltas.map((delta) => (positive ? delta[i]! > 0 : delta[i]! < 0))
  }
}

function taskVectorMethod(
  name: string,
  trim: Trim,
  fallback: { elect?: boolean; normalize?: boolean; rescale?: boolean },
) {
  return defineStrict(
    name,
    {
      base: 'required',
      ...(trim === none ? { arrays: (inputs: number) => 2 * inputs + 6 } : {}),
      options: {
        weight: perModel(anyNumber),
        density,
        gamma,
        epsilon,
        lambda,
        normalize: normalize(fallback.normalize ?? false),
        rescale: shared(yesOrNo, fallback.rescale ?? false),
      },
    },
    (tensor, options, task) => {
      const { n, base, length } = tensor
      const weights = options.weight.map(n.round)
      const deltas = differences(tensor).map((delta, t) =>
        trim(delta, t, options, task, n).map((x) => n.round(x * weights[t]!)),
      ) as Numbers[]
      const elected = fallback.elect ? agreeing(deltas, n) : undefined
      const all = deltas.map(() => true)
      const lambda = n.scalar(options.lambda)
      const result = n.make(length)
      for (let i = 0; i < length; i++) {
        const takes = elected?.(i) ?? all
        let sum = n.sumFew(deltas.length, (t) => (takes[t] ? deltas[t]![i]! : 0))
        const divisor = n.sumFew(deltas.length, (t) => (takes[t] ? weights[t]! : 0))
        const none = elected ? divisor === 0 : Math.abs(divisor) < n.round(1e-8)
        if (options.normalize) sum = n.round(sum / (none ? 1 : divisor))
        if (options.lambda !== 1) sum = n.round(sum * lambda)
        result[i] = n.round(base[i]! + sum)
      }
      return result
    },
  )
}

export const taskArithmetic = taskVectorMethod('task-arithmetic', none, {})
export const ties = taskVectorMethod('ties', byMagnitude, { elect: true, normalize: true })
export const dareLinear = taskVectorMethod('dare-linear', dare, { rescale: true })
export const dareTies = taskVectorMethod('dare-ties', dare, { elect: true, rescale: true })
export const della = taskVectorMethod('della', magprune, { elect: true, normalize: true, rescale: true })
export const dellaLinear = taskVectorMethod('della-linear', magprune, { rescale: true })
export const breadcrumbs = taskVectorMethod('breadcrumbs', outliers, {})
export const breadcrumbsTies = taskVectorMethod('breadcrumbs-ties', outliers, { elect: true })
