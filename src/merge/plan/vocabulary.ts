/**
 * Embeddings of different vocabularies: an output vocabulary, and for each model the rows of its embedding put in that order. Tokens that
 * a model lacks take the base's row, the only model's that has it, or the mean over the models that have it, unless the recipe says otherwise.
 */
import type { TensorInfo } from '../../checkpoint/safetensors-header.ts'
import { InputError } from '../../util/errors.ts'
import { formatModelRef, type ModelRef } from '../recipe/model-ref.ts'
import type { TokenizerRule, TokenRule } from '../recipe/recipe.ts'
import type { Conflicts } from './conflicts.ts'
import type { MergeInput } from './merge-inputs.ts'
import type { RowsSource } from './merge-plan.ts'
import { storedSource } from './sources.ts'
import { idCount, readTokenizerFile, type TokenizerFile, unionOf, withTokens } from './token-ids.ts'

export interface Vocabulary {
  readonly tokenizer: TokenizerFile
  /** Rows of the output's embeddings. */
  readonly rows: number
  /** Whose tokenizer files are carried over. */
  readonly companion: string
  /** The rows of a model's tensor in the output's order, given that tensor in every model. */
  source(input: MergeInput, tensors: ReadonlyMap<MergeInput, TensorInfo>): RowsSource
}

const zeros = -1
const meanRow = -2
const meanOfRowsBefore = -3

/** Reads the tokenizers that a rule needs. Throws InputError `TOKENIZER_MISSING` and `RECIPE`. */
export async function planVocabulary(
  rule: TokenizerRule,
  inputs: ReadonlyMap<string, MergeInput>,
  base: MergeInput,
  conflicts: Conflicts,
  strict: boolean,
): Promise<Vocabulary> {
  const list = [...inputs.values()]
  const own = await readTokenizerFile(base.checkpoint.folder)
  if (!own)
    throw new InputError(
      'TOKENIZER_MISSING',
      'The recipe changes the vocabulary, and this model has no tokenizer.json',
      {
        where: { ...rule.place, file: base.checkpoint.folder },
        help: 'save its tokenizer beside it',
      },
    )
  const tokenizers = new Map<MergeInput, TokenizerFile>()
  for (const input of list) {
    const found = input === base ? own : await readTokenizerFile(input.checkpoint.folder)
    if (!found)
      conflicts.add({
        severity: 'warning',
        code: 'TOKENIZER_ASSUMED',
        model: input.label,
        message: `It has no tokenizer.json: its vocabulary is taken to be that of ${base.label}`,
      })
    tokenizers.set(input, found ?? own)
  }
  const modelOf = (ref: ModelRef, rule: TokenRule | TokenizerRule): MergeInput => {
    const found = inputs.get(formatModelRef(ref))
    if (found) return found
    throw new InputError('RECIPE', `${formatModelRef(ref)} is not among the models of the recipe`, {
      where: rule.place,
      help: `models: ${list.map(({ label }) => label).join(', ')}`,
    })
  }
  const owner = typeof rule.source === 'string' ? base : modelOf(rule.source, rule)
  const start =
    rule.source === 'union'
      ? unionOf(
          own,
          list.flatMap((input) => (input === base ? [] : [tokenizers.get(input)!])),
        )
      : tokenizers.get(owner)!
  const tokenizer = withTokens(
    start,
    [...rule.tokens.keys()].map((token) => [token, undefined] as const),
  )
  const count = idCount(tokenizer)
  const multiple = rule.padToMultipleOf ?? 1
  const rows = Math.ceil(count / multiple) * multiple
  const byId = new Map([...tokenizer.ids].map(([token, id]) => [id, token]))

  const source = (input: MergeInput, tensors: ReadonlyMap<MergeInput, TensorInfo>): RowsSource => {
    const owners = list.filter((other) => tensors.has(other))
    const index = new Map(owners.map((other, i) => [other, i]))
    const rowOf = (other: MergeInput, token: string): number | undefined => {
      const id = index.has(other) ? tokenizers.get(other)!.ids.get(token) : undefined
      return id !== undefined && id < tensors.get(other)!.shape[0]! ? id : undefined
    }
    const part = new Int32Array(rows).fill(zeros)
    const row = new Int32Array(rows)
    const groups: Int32Array[] = []
    const take = (at: number, other: MergeInput, from: number) => {
      part[at] = index.get(other)!
      row[at] = from
    }
    const takeMean = (at: number, pairs: readonly number[]) => {
      part[at] = meanRow
      row[at] = groups.push(Int32Array.from(pairs)) - 1
    }
    /** The row for a token that the model lacks, or that the recipe forces on it. */
    const substitute = (at: number, token: string, given: TokenRule | undefined) => {
      if (given?.source) {
        if (given.source.kind === 'zero') return
        const other = modelOf(given.source.model, given)
        const wanted = given.source.kind === 'model_token' ? given.source.token : token
        const from = typeof wanted === 'number' ? wanted : rowOf(other, wanted)
        if (from === undefined || !index.has(other) || from >= tensors.get(other)!.shape[0]!)
          throw new InputError('RECIPE', `${other.label} has no embedding of token ${JSON.stringify(wanted)}`, {
            where: given.place,
            help: 'take it from a model that has it',
          })
        return take(at, other, from)
      }
      const holders = owners.filter((other) => rowOf(other, token) !== undefined)
      const chosen = holders.length === 1 ? holders[0] : holders.find((other) => other === base)
      if (chosen) take(at, chosen, rowOf(chosen, token)!)
      else if (holders.length > 1)
        takeMean(
          at,
          holders.flatMap((other) => [index.get(other)!, rowOf(other, token)!]),
        )
    }
    const own: number[] = []
    for (let at = 0; at < count; at++) {
      const token = byId.get(at)
      if (token === undefined) continue
      const given = rule.tokens.get(token)
      const from = rowOf(input, token)
      if (from !== undefined && !given?.force) take(at, input, from)
      else substitute(at, token, given)
      if (part[at]! >= 0) own.push(part[at]!, row[at]!)
    }
    // Rows that only pad are the mean of the others (Hewitt, "Initializing New Word Embeddings", 2021), in mergekit with those put in for tokens that the model lacks.
    if (strict) part.fill(meanOfRowsBefore, count)
    else if (rows > count) {
      takeMean(count, own)
      for (let at = count + 1; at < rows; at++) {
        part[at] = meanRow
        row[at] = row[count]!
      }
    }
    const columns = tensors
      .get(input)!
      .shape.slice(1)
      .reduce((product, size) => product * size, 1)
    return { kind: 'rows', parts: owners.map((other) => storedSource(tensors.get(other)!)), columns, part, row, groups }
  }
  return { tokenizer, rows, companion: owner.checkpoint.folder, source }
}
