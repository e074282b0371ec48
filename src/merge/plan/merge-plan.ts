/** What a merge will do, as data: each output tensor with its sources, settings and place; conflicts; bytes, memory and time. */
import type { Dtype } from '../../tensor/dtypes.ts'
import type { MergeDtype } from '../../tensor/merge-kernels.ts'
import type { Place } from '../../util/errors.ts'
import type { LayerPlace } from '../engine/tensor-task.ts'

/** A tensor's bytes in a file. */
export interface StoredSource {
  readonly kind: 'stored'
  readonly file: string
  readonly offset: number
  readonly dtype: Dtype
}

/** A stored weight with a LoRA applied to it. */
export interface LoraSource {
  readonly kind: 'lora'
  readonly weight: StoredSource
  readonly a: StoredSource
  readonly b: StoredSource
  readonly rank: number
  readonly scale: number
  readonly rows: number
  readonly columns: number
  readonly transposed: boolean
}

/** Rows of several stored tensors put together: an embedding for another vocabulary. */
export interface RowsSource {
  readonly kind: 'rows'
  readonly parts: readonly StoredSource[]
  readonly columns: number
  /** For each output row, the part it comes from; -1 for zeros, -2 for the mean of `groups[row index]`, -3 for the mean of all rows before the first -3. */
  readonly part: Int32Array
  readonly row: Int32Array
  /** For rows that are means: pairs of part and row. */
  readonly groups: readonly Int32Array[]
}

export type TensorSource = StoredSource | LoraSource | RowsSource

export interface PlannedTensor {
  readonly name: string
  readonly layer?: LayerPlace
  readonly shape: readonly number[]
  readonly dtype: Dtype
  /** With mergekit's arithmetic: the type that all inputs are converted to. */
  readonly work?: MergeDtype
  /** `copy` takes the bytes of the only source as they are, `average` the mean of the sources whatever the method. */
  readonly action: 'merge' | 'copy' | 'average'
  /** The models beside the base. */
  readonly sources: readonly TensorSource[]
  readonly base?: TensorSource
  /** The models' keys, in the order of `sources`. */
  readonly keys: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
}

export interface Conflict {
  /** `error` must be settled before the merge can run. */
  readonly severity: 'error' | 'warning' | 'note'
  readonly code: string
  readonly model?: string
  readonly tensor?: string
  readonly message: string
  readonly help?: string
  readonly where?: Place
}

/** A head kept for one model. */
export interface KeptHead {
  readonly key: string
  readonly label: string
  readonly tensors: readonly {
    readonly name: string
    readonly shape: readonly number[]
    readonly source: TensorSource
  }[]
}

export interface PlannedInput {
  readonly label: string
  readonly key: string
  readonly folder: string
  readonly tensors: number
  readonly bytes: number
  readonly dtypes: readonly Dtype[]
  readonly base: boolean
}

export interface MergePlan {
  readonly method: string
  /** Whether mergekit's arithmetic is used. */
  readonly strict: boolean
  readonly inputs: readonly PlannedInput[]
  readonly tensors: readonly PlannedTensor[]
  readonly heads: readonly KeptHead[]
  readonly conflicts: readonly Conflict[]
  /** For each model, the least and the greatest weight that it has in any tensor, after normalization. */
  readonly weights: readonly { readonly key: string; readonly least: number; readonly most: number }[]
  readonly config: Readonly<Record<string, unknown>>
  /** The folder whose tokenizer files are carried over. */
  readonly companion: string
  readonly outputDtype: MergeDtype
  readonly readBytes: number
  readonly writeBytes: number
  readonly peakBytes: number
  readonly seconds: number
  readonly threads: number
  /** Elements that a thread holds of each model at once. */
  readonly blockLength: number
}
