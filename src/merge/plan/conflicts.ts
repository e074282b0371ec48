/** Collects conflicts; many tensors with one fault become one conflict that names the first and counts the others. */
import type { Conflict } from './merge-plan.ts'

export class Conflicts {
  private readonly found = new Map<string, { conflict: Conflict; count: number }>()

  add(conflict: Conflict): void {
    const key = [conflict.severity, conflict.code, conflict.model].join('\0')
    const entry = this.found.get(key)
    if (entry) entry.count++
    else this.found.set(key, { conflict, count: 1 })
  }

  /** Errors first. */
  list(): Conflict[] {
    const order = { error: 0, warning: 1, note: 2 }
    return [...this.found.values()]
      .map(({ conflict, count }) =>
        count === 1 ? conflict : { ...conflict, message: `${conflict.message} (and ${count - 1} more tensors)` },
      )
      .sort((a, b) => order[a.severity] - order[b.severity])
  }
}
