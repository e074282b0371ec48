/** References to checkpoints: `PATH`, `ORG/NAME@REVISION`, either followed by `+ADAPTER` for a LoRA applied to it. */

export interface ModelRef {
  /** A folder or a name on the model hub, with `@revision` if given. */
  readonly model: string
  /** A LoRA adapter's folder or name, likewise. */
  readonly lora?: string
}

/** Parses `model`, `model@revision`, `model+lora`; undefined if malformed. */
export function parseModelRef(text: string): ModelRef | undefined {
  const parts = text.split('+').map((part) => part.trim())
  if (parts.length > 2 || parts.some((part) => part === '' || part.split('@').length > 2)) return undefined
  const [model, lora] = parts as [string, string?]
  return lora === undefined ? { model } : { model, lora }
}

export function formatModelRef(ref: ModelRef): string {
  return ref.lora === undefined ? ref.model : `${ref.model}+${ref.lora}`
}

export function sameModel(a: ModelRef | undefined, b: ModelRef | undefined): boolean {
  return a !== undefined && b !== undefined && a.model === b.model && a.lora === b.lora
}
